package store

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"io"
	"time"

	"github.com/jmoiron/sqlx"

	"oshirase/mailer"
)

// campaignRow is a campaign as the database has it.
type campaignRow struct {
	Num         int64
	ID          string
	Name        string
	IncidentNum int64  `db:"incident"`
	MerchantNum int64  `db:"merchant"`
	Incident    string `db:"incident_id"`
	Merchant    string `db:"merchant_id"`
	Channel     string
	Stage       string
	Cause       string
	Exposures   string
	Certainty   string
	At          sql.NullInt64
	Hours       string
	Days        mailer.Days
	PerHour     int `db:"per_hour"`
	Phase       mailer.Phase
	Reason      string
	Halt        string
	CreatedAt   int64 `db:"created_at"`
	Digest      string
	Sendable    int64
	Revision    int64
	LastID      int64 `db:"last_id"`
	Round       int64
	CheckID     string `db:"check_id"`
}

const selectCampaign = `
	SELECT c.num, c.id, c.name, c.incident, c.merchant, i.id AS incident_id, m.id AS merchant_id, c.channel, c.stage, c.cause,
	       c.exposures, c.certainty, c.at, c.hours, c.days, c.per_hour, c.phase, c.reason, c.halt, c.created_at, c.digest, c.sendable, c.revision, c.last_id, c.round, c.check_id
	FROM campaign c JOIN incident i ON i.num = c.incident JOIN merchant m ON m.num = c.merchant `

func (r *campaignRow) campaign() (mailer.Campaign, error) {
	exposures, err := parseStrings(r.Exposures)
	if err != nil {
		return mailer.Campaign{}, err
	}
	var halt mailer.Halt
	if r.Halt != "" {
		if err := unmarshal(r.Halt, &halt); err != nil {
			return mailer.Campaign{}, err
		}
	}
	return mailer.Campaign{
		ID: r.ID, Name: r.Name, Incident: r.Incident, Merchant: r.Merchant, Stage: mailer.Stage(r.Stage), Cause: r.Cause,
		Exposures: exposures, Certainty: mailer.Certainty(r.Certainty), At: fromMS(r.At),
		Window: mailer.WindowSpec{Hours: r.Hours, Days: r.Days}, PerHour: r.PerHour, Phase: r.Phase, Reason: r.Reason, Halt: halt,
		CreatedAt: time.UnixMilli(r.CreatedAt).UTC(), Digest: r.Digest,
	}, nil
}

func (r *campaignRow) key() campaignKey {
	return campaignKey{num: r.Num, incident: r.IncidentNum, merchant: r.MerchantNum, incidentID: r.Incident, merchantID: r.Merchant}
}

func findCampaign(ctx context.Context, h handle, id string) (*campaignRow, error) {
	var row campaignRow
	if err := get(ctx, h, &row, selectCampaign+`WHERE c.id = ?`, id); err != nil {
		return nil, missing(err, "campaign", id)
	}
	return &row, nil
}

func listCampaigns(ctx context.Context, h handle, where string, args ...any) ([]mailer.Campaign, error) {
	var rows []campaignRow
	if err := find(ctx, h, &rows, selectCampaign+where, args...); err != nil {
		return nil, err
	}
	out := make([]mailer.Campaign, len(rows))
	for i := range rows {
		var err error
		if out[i], err = rows[i].campaign(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// CreateCampaign stores a draft and returns its id. ID, Phase, Reason, CreatedAt
// and Digest of camp are set here. Window and pace are taken as they are: the
// merchant's defaults are the caller's to fill in.
func (db *DB) CreateCampaign(ctx context.Context, by mailer.Actor, camp mailer.Campaign) (id string, err error) {
	defer db.explain(&err, "create campaign")
	if err := validCampaign(&camp); err != nil {
		return "", err
	}
	err = db.write(ctx, func(c *change) error {
		if id, err = c.newID(ctx, "c", "campaign"); err != nil {
			return err
		}
		if err := c.insertCampaign(ctx, id, &camp); err != nil {
			return err
		}
		return c.act(ctx, by, mailer.ActCreate, id, fmt.Sprintf("incident %s, merchant %s, stage %s", camp.Incident, camp.Merchant, camp.Stage))
	})
	if err != nil {
		return "", err
	}
	return id, nil
}

func (c *change) insertCampaign(ctx context.Context, id string, camp *mailer.Campaign) error {
	incident, merchant, err := population(ctx, c, camp.Incident, camp.Merchant)
	if err != nil {
		return err
	}
	for _, e := range camp.Exposures {
		var n int
		if err := get(ctx, c, &n, `SELECT count(*) FROM exposure WHERE incident = ? AND id = ?`, incident, e); err != nil {
			return err
		}
		if n == 0 {
			return mailer.Invalid("campaign.exposure", "incident", camp.Incident, "exposure", e)
		}
	}
	var num int64
	if err := get(ctx, c, &num, `
		INSERT INTO campaign (id, name, incident, merchant, stage, cause, exposures, certainty, at, hours, days, per_hour, phase, created_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'draft', ?) RETURNING num`,
		id, camp.Name, incident, merchant, string(camp.Stage), camp.Cause, stringArray(camp.Exposures), string(camp.Certainty), ms(camp.At),
		camp.Window.Hours, camp.Window.Days, camp.PerHour, c.db.now().UnixMilli()); err != nil {
		return err
	}
	c.made("campaign", `num = ?`, num)
	return zeroCounts(ctx, c, num)
}

func validCampaign(c *mailer.Campaign) error {
	known := false
	for _, s := range mailer.Stages {
		known = known || s == c.Stage
	}
	if !known {
		return mailer.Invalid("campaign.stage", "stage", c.Stage)
	}
	switch c.Certainty {
	case "", mailer.CertaintyPossible, mailer.CertaintyConfirmed:
	default:
		return mailer.Invalid("campaign.certainty", "certainty", c.Certainty)
	}
	if !mailer.ValidPerHour(c.PerHour) {
		return mailer.Invalid("campaign.per-hour", "per_hour", c.PerHour, "most", mailer.MaxPerHour)
	}
	_, err := mailer.ParseWindow(c.Window)
	return err
}

// newID is what people see and type: kind, day in Japan, random hex digits: four,
// and more where that many are taken.
func (c *change) newID(ctx context.Context, kind, table string) (string, error) {
	for n := 2; ; n++ {
		b := make([]byte, n)
		if _, err := io.ReadFull(c.db.random, b); err != nil {
			return "", err
		}
		id := kind + "-" + c.db.now().In(mailer.JST).Format("20060102") + "-" + hex.EncodeToString(b)
		var taken int
		if err := get(ctx, c, &taken, `SELECT count(*) FROM `+table+` WHERE id = ?`, id); err != nil || taken == 0 {
			return id, err
		}
	}
}

// population returns the numbers of an incident and a merchant.
func population(ctx context.Context, h handle, incident, merchant string) (i, m int64, err error) {
	if err := get(ctx, h, &i, `SELECT num FROM incident WHERE id = ?`, incident); err != nil {
		return 0, 0, missing(err, "incident", incident)
	}
	if err := get(ctx, h, &m, `SELECT num FROM merchant WHERE id = ?`, merchant); err != nil {
		return 0, 0, missing(err, "merchant", merchant)
	}
	return i, m, nil
}

// Campaign finds one campaign.
func (r *Reader) Campaign(ctx context.Context, id string) (camp mailer.Campaign, err error) {
	defer r.explain(&err, "find campaign")
	row, err := findCampaign(ctx, r.pool(), id)
	if err != nil {
		return mailer.Campaign{}, err
	}
	return row.campaign()
}

// Campaigns lists all campaigns, oldest first.
func (r *Reader) Campaigns(ctx context.Context) (all []mailer.Campaign, err error) {
	defer r.explain(&err, "list campaigns")
	return listCampaigns(ctx, r.pool(), `ORDER BY c.num`)
}

// Running lists the campaigns in phase running, oldest first, with what is queued or
// deferred of each.
func (r *Reader) Running(ctx context.Context) (out []mailer.Backlog, err error) {
	defer r.explain(&err, "list running campaigns")
	campaigns, err := listCampaigns(ctx, r.pool(), `WHERE c.phase = 'running' ORDER BY c.num`)
	if err != nil {
		return nil, err
	}
	var left []struct {
		ID string
		N  int64
	}
	if err := find(ctx, r.pool(), &left, `
		SELECT c.id, sum(k.n) AS n FROM campaign c JOIN campaign_count k ON k.campaign = c.num
		WHERE c.phase = 'running' AND k.state IN ('queued', 'deferred') GROUP BY c.id`); err != nil {
		return nil, err
	}
	byID := map[string]int64{}
	for _, l := range left {
		byID[l.ID] = l.N
	}
	out = make([]mailer.Backlog, len(campaigns))
	for i, c := range campaigns {
		out[i] = mailer.Backlog{Campaign: c, Left: byID[c.ID]}
	}
	return out, nil
}

// Findings returns what the last check had to say.
func (r *Reader) Findings(ctx context.Context, campaign string) (out []mailer.Finding, err error) {
	defer r.explain(&err, "find findings of %s", campaign)
	k, err := r.campaignKey(ctx, r.pool(), campaign)
	if err != nil {
		return nil, err
	}
	return findings(ctx, r.pool(), k.num)
}

func findings(ctx context.Context, h handle, campaign int64) ([]mailer.Finding, error) {
	out := []mailer.Finding{}
	err := find(ctx, h, &out, `SELECT severity, rule, message, ref FROM finding WHERE campaign = ? ORDER BY n`, campaign)
	return out, err
}

// CheckResult returns what the last check came to, with its findings; false
// where the campaign has not been checked since it was made or voided.
func (r *Reader) CheckResult(ctx context.Context, campaign string) (res mailer.CheckResult, found bool, err error) {
	defer r.explain(&err, "find check of %s", campaign)
	err = r.read(ctx, func(tx *sqlx.Tx) error {
		var row struct {
			Num    int64
			Result sql.NullString
		}
		if err := get(ctx, tx, &row, `SELECT num, result FROM campaign WHERE id = ?`, campaign); err != nil {
			return missing(err, "campaign", campaign)
		}
		if !row.Result.Valid {
			return nil
		}
		found = true
		if err := unmarshal(row.Result.String, &res); err != nil {
			return err
		}
		res.Findings, err = findings(ctx, tx, row.Num)
		return err
	})
	return res, found, err
}

// Snapshot returns what the campaign was checked with; mailer.ErrDamaged where somebody
// else changed the campaign.
func (r *Reader) Snapshot(ctx context.Context, campaign string) (snap mailer.Snapshot, err error) {
	defer r.explain(&err, "find snapshot of %s", campaign)
	return snap, r.read(ctx, func(tx *sqlx.Tx) error {
		var s sql.NullString
		if err := get(ctx, tx, &s, `SELECT snapshot FROM campaign WHERE id = ?`, campaign); err != nil {
			return missing(err, "campaign", campaign)
		}
		if _, err := r.proved(ctx, tx, controlRow{"campaign", `id = ?`, []any{campaign}}); err != nil {
			return err
		}
		if !s.Valid {
			return mailer.Conflict("campaign.unchecked", "campaign", campaign)
		}
		return unmarshal(s.String, &snap)
	})
}

// campaignKey is what never changes of a campaign.
type campaignKey struct {
	num, incident, merchant int64
	incidentID, merchantID  string
}

func (r *Reader) campaignKey(ctx context.Context, h handle, id string) (campaignKey, error) {
	if k, ok := r.nums.Load(id); ok {
		return k.(campaignKey), nil
	}
	row, err := findCampaign(ctx, h, id)
	if err != nil {
		return campaignKey{}, err
	}
	k := row.key()
	r.nums.Store(id, k)
	return k, nil
}

// Counts returns the deliveries per state; every state has a key.
func (r *Reader) Counts(ctx context.Context, campaign string) (out mailer.Counts, err error) {
	defer r.explain(&err, "count deliveries of %s", campaign)
	k, err := r.campaignKey(ctx, r.pool(), campaign)
	if err != nil {
		return nil, err
	}
	return r.counts(ctx, r.pool(), k.num)
}

// counts tells the claimed deliveries from the queued ones, which they are in rows.
func (r *Reader) counts(ctx context.Context, h handle, campaign int64) (mailer.Counts, error) {
	counts, err := counts(ctx, h, campaign)
	if err != nil {
		return nil, err
	}
	n, err := r.claimed(ctx, h, campaign)
	// In another moment than the counts, perhaps, outside a transaction.
	n = min(n, counts[mailer.StateQueued])
	counts[mailer.StateClaimed] = n
	counts[mailer.StateQueued] -= n
	return counts, err
}

// counts are the deliveries per state as rows have it.
func counts(ctx context.Context, h handle, campaign int64) (mailer.Counts, error) {
	var rows []struct {
		State mailer.State
		N     int64
	}
	if err := find(ctx, h, &rows, `SELECT state, n FROM campaign_count WHERE campaign = ?`, campaign); err != nil {
		return nil, err
	}
	c := mailer.Counts{}
	for _, s := range mailer.States {
		c[s] = 0
	}
	for _, r := range rows {
		c[r.State] = r.N
	}
	return c, nil
}

func zeroCounts(ctx context.Context, c *change, campaign int64) error {
	for _, s := range mailer.States {
		if _, err := do(ctx, c, `INSERT INTO campaign_count (campaign, state, n) VALUES (?, ?, 0)`, campaign, string(s)); err != nil {
			return err
		}
	}
	return nil
}

// count adds deliveries that are frozen, or takes away such that are dropped before
// they were tried (n below 0). Moves between states count themselves: see transition.
func (c *change) count(ctx context.Context, campaign int64, state mailer.State, n int64) error {
	if n == 0 {
		return nil
	}
	_, err := do(ctx, c, `UPDATE campaign_count SET n = n + ? WHERE campaign = ? AND state = ?`, n, campaign, string(state))
	return err
}
