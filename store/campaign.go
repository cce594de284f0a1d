package store

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
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
	Stage       string
	Exposures   string
	Certainty   string
	At          sql.NullInt64
	Hours       string
	Days        string
	PerHour     int `db:"per_hour"`
	Phase       mailer.Phase
	Reason      string
	CreatedAt   int64 `db:"created_at"`
	Digest      string
	Sendable    int64
	Revision    int64
}

const selectCampaign = `
	SELECT c.num, c.id, c.name, c.incident, c.merchant, i.id AS incident_id, m.id AS merchant_id, c.stage, c.exposures,
	       c.certainty, c.at, c.hours, c.days, c.per_hour, c.phase, c.reason, c.created_at, c.digest, c.sendable, c.revision
	FROM campaign c JOIN incident i ON i.num = c.incident JOIN merchant m ON m.num = c.merchant `

func (r *campaignRow) campaign() (mailer.Campaign, error) {
	exposures, err := parseStrings(r.Exposures)
	if err != nil {
		return mailer.Campaign{}, err
	}
	return mailer.Campaign{
		ID: r.ID, Name: r.Name, Incident: r.Incident, Merchant: r.Merchant, Stage: mailer.Stage(r.Stage),
		Exposures: exposures, Certainty: mailer.Certainty(r.Certainty), At: fromMS(r.At),
		Window: mailer.WindowSpec{Hours: r.Hours, Days: r.Days}, PerHour: r.PerHour, Phase: r.Phase, Reason: r.Reason,
		CreatedAt: time.UnixMilli(r.CreatedAt).UTC(), Digest: r.Digest,
	}, nil
}

func findCampaign(ctx context.Context, q sqlx.QueryerContext, id string) (*campaignRow, error) {
	var row campaignRow
	if err := sqlx.GetContext(ctx, q, &row, selectCampaign+`WHERE c.id = ?`, id); err != nil {
		return nil, missing(err, "campaign", id)
	}
	return &row, nil
}

func campaignsOf(ctx context.Context, q sqlx.QueryerContext, where string, args ...any) ([]mailer.Campaign, error) {
	var rows []campaignRow
	if err := sqlx.SelectContext(ctx, q, &rows, selectCampaign+where, args...); err != nil {
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
// and Digest of c are set here. Window and pace are taken as they are: the
// merchant's defaults are the caller's to fill in.
func (db *DB) CreateCampaign(ctx context.Context, by mailer.Actor, c mailer.Campaign) (id string, err error) {
	if err := validCampaign(&c); err != nil {
		return "", wrap("create campaign", err)
	}
	err = db.write(ctx, "create campaign", func(tx *sqlx.Tx) error {
		incident, merchant, err := population(ctx, tx, c.Incident, c.Merchant)
		if err != nil {
			return err
		}
		for _, e := range c.Exposures {
			var n int
			if err := tx.GetContext(ctx, &n, `SELECT count(*) FROM exposure WHERE incident = ? AND id = ?`, incident, e); err != nil {
				return err
			}
			if n == 0 {
				return invalid("incident %s has no exposure %q", c.Incident, e)
			}
		}
		if id, err = db.newID(ctx, tx, "c", "campaign"); err != nil {
			return err
		}
		r, err := tx.ExecContext(ctx, `
			INSERT INTO campaign (id, name, incident, merchant, stage, exposures, certainty, at, hours, days, per_hour, phase, created_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'draft', ?)`,
			id, c.Name, incident, merchant, string(c.Stage), stringArray(c.Exposures), string(c.Certainty), ms(c.At),
			c.Window.Hours, c.Window.Days, c.PerHour, db.now().UnixMilli())
		if err != nil {
			return err
		}
		num, err := r.LastInsertId()
		if err != nil {
			return err
		}
		if err := zeroCounts(ctx, tx, num); err != nil {
			return err
		}
		return db.act(ctx, tx, by, mailer.ActCreate, id, fmt.Sprintf("incident %s, merchant %s, stage %s", c.Incident, c.Merchant, c.Stage))
	})
	if err != nil {
		return "", err
	}
	return id, nil
}

func validCampaign(c *mailer.Campaign) error {
	known := false
	for _, s := range mailer.Stages {
		known = known || s == c.Stage
	}
	if !known {
		return invalid("stage %q: use first-warning, formal, follow-up or correction", c.Stage)
	}
	switch c.Certainty {
	case "", mailer.CertaintyPossible, mailer.CertaintyConfirmed:
	default:
		return invalid("certainty %q: use possible or confirmed", c.Certainty)
	}
	if c.PerHour < 0 {
		return invalid("%d messages an hour: use 0 for no limit", c.PerHour)
	}
	_, err := mailer.ParseWindow(c.Window)
	return err
}

// newID is what people see and type: kind, day in Japan, random hex digits: four,
// and more where that many are taken.
func (db *DB) newID(ctx context.Context, tx *sqlx.Tx, kind, table string) (string, error) {
	for n := 2; ; n++ {
		b := make([]byte, n)
		if _, err := io.ReadFull(db.random, b); err != nil {
			return "", err
		}
		id := kind + "-" + db.now().In(mailer.JST).Format("20060102") + "-" + hex.EncodeToString(b)
		var taken int
		if err := tx.GetContext(ctx, &taken, `SELECT count(*) FROM `+table+` WHERE id = ?`, id); err != nil || taken == 0 {
			return id, err
		}
	}
}

// population returns the numbers of an incident and a merchant.
func population(ctx context.Context, q sqlx.QueryerContext, incident, merchant string) (i, m int64, err error) {
	if err := sqlx.GetContext(ctx, q, &i, `SELECT num FROM incident WHERE id = ?`, incident); err != nil {
		return 0, 0, missing(err, "incident", incident)
	}
	if err := sqlx.GetContext(ctx, q, &m, `SELECT num FROM merchant WHERE id = ?`, merchant); err != nil {
		return 0, 0, missing(err, "merchant", merchant)
	}
	return i, m, nil
}

// Campaign finds one campaign.
func (db *DB) Campaign(ctx context.Context, id string) (mailer.Campaign, error) {
	row, err := findCampaign(ctx, db.r, id)
	if err != nil {
		return mailer.Campaign{}, wrap("find campaign", err)
	}
	return row.campaign()
}

// Campaigns lists all campaigns, oldest first.
func (db *DB) Campaigns(ctx context.Context) ([]mailer.Campaign, error) {
	out, err := campaignsOf(ctx, db.r, `ORDER BY c.num`)
	return out, wrap("list campaigns", err)
}

// Running lists the campaigns in phase running, oldest first, with what is queued or
// deferred of each.
func (db *DB) Running(ctx context.Context) ([]mailer.Backlog, error) {
	op := "list running campaigns"
	campaigns, err := campaignsOf(ctx, db.r, `WHERE c.phase = 'running' ORDER BY c.num`)
	if err != nil {
		return nil, wrap(op, err)
	}
	var left []struct {
		ID string
		N  int64
	}
	err = db.r.SelectContext(ctx, &left, `
		SELECT c.id, sum(k.n) AS n FROM campaign c JOIN campaign_count k ON k.campaign = c.num
		WHERE c.phase = 'running' AND k.state IN ('queued', 'deferred') GROUP BY c.id`)
	if err != nil {
		return nil, wrap(op, err)
	}
	byID := map[string]int64{}
	for _, l := range left {
		byID[l.ID] = l.N
	}
	out := make([]mailer.Backlog, len(campaigns))
	for i, c := range campaigns {
		out[i] = mailer.Backlog{Campaign: c, Left: byID[c.ID]}
	}
	return out, nil
}

// Findings returns what the last check had to say.
func (db *DB) Findings(ctx context.Context, campaign string) ([]mailer.Finding, error) {
	row, err := findCampaign(ctx, db.r, campaign)
	if err != nil {
		return nil, wrap("find findings", err)
	}
	out, err := findings(ctx, db.r, row.Num)
	return out, wrap("find findings of "+campaign, err)
}

func findings(ctx context.Context, q sqlx.QueryerContext, campaign int64) ([]mailer.Finding, error) {
	out := []mailer.Finding{}
	err := sqlx.SelectContext(ctx, q, &out, `SELECT severity, rule, message, ref FROM finding WHERE campaign = ? ORDER BY n`, campaign)
	return out, err
}

// CheckResult returns what the last check came to, with its findings; false
// where the campaign has not been checked since it was made or voided.
func (db *DB) CheckResult(ctx context.Context, campaign string) (mailer.CheckResult, bool, error) {
	var res mailer.CheckResult
	found := false
	err := db.read(ctx, "find check of "+campaign, func(tx *sqlx.Tx) error {
		var row struct {
			Num    int64
			Result sql.NullString
		}
		if err := tx.GetContext(ctx, &row, `SELECT num, result FROM campaign WHERE id = ?`, campaign); err != nil {
			return missing(err, "campaign", campaign)
		}
		if !row.Result.Valid {
			return nil
		}
		found = true
		if err := json.Unmarshal([]byte(row.Result.String), &res); err != nil {
			return err
		}
		var err error
		res.Findings, err = findings(ctx, tx, row.Num)
		return err
	})
	return res, found, err
}

// Approvals lists who approved what was checked, oldest first.
func (db *DB) Approvals(ctx context.Context, campaign string) ([]mailer.Approval, error) {
	row, err := findCampaign(ctx, db.r, campaign)
	if err != nil {
		return nil, wrap("find approvals", err)
	}
	var rows []struct {
		Name   string
		Proof  mailer.Proof
		Count  int64
		Digest string
		At     int64
	}
	if err := db.r.SelectContext(ctx, &rows, `SELECT name, proof, count, digest, at FROM approval WHERE campaign = ? ORDER BY at, who`, row.Num); err != nil {
		return nil, wrap("find approvals of "+campaign, err)
	}
	out := make([]mailer.Approval, len(rows))
	for i, r := range rows {
		out[i] = mailer.Approval{By: r.Name, Proof: r.Proof, Count: r.Count, Digest: r.Digest, At: time.UnixMilli(r.At).UTC()}
	}
	return out, nil
}

// Snapshot returns what the campaign was checked with.
func (db *DB) Snapshot(ctx context.Context, campaign string) (mailer.Snapshot, error) {
	var s sql.NullString
	if err := db.r.GetContext(ctx, &s, `SELECT snapshot FROM campaign WHERE id = ?`, campaign); err != nil {
		return mailer.Snapshot{}, wrap("find snapshot", missing(err, "campaign", campaign))
	}
	if !s.Valid {
		return mailer.Snapshot{}, wrap("find snapshot", conflict("campaign %s has not been checked: run `campaign check` first", campaign))
	}
	var snap mailer.Snapshot
	err := json.Unmarshal([]byte(s.String), &snap)
	return snap, wrap("find snapshot of "+campaign, err)
}

// campaignKey is what never changes of a campaign.
type campaignKey struct{ num, incident, merchant int64 }

func (db *DB) campaignKey(ctx context.Context, q sqlx.QueryerContext, id string) (campaignKey, error) {
	if k, ok := db.nums.Load(id); ok {
		return k.(campaignKey), nil
	}
	var k campaignKey
	err := q.QueryRowxContext(ctx, `SELECT num, incident, merchant FROM campaign WHERE id = ?`, id).Scan(&k.num, &k.incident, &k.merchant)
	if err != nil {
		return k, missing(err, "campaign", id)
	}
	db.nums.Store(id, k)
	return k, nil
}

// Counts returns the deliveries per state; every state has a key.
func (db *DB) Counts(ctx context.Context, campaign string) (mailer.Counts, error) {
	k, err := db.campaignKey(ctx, db.r, campaign)
	if err != nil {
		return nil, wrap("count deliveries", err)
	}
	c, err := counts(ctx, db.r, k.num)
	return c, wrap("count deliveries of "+campaign, err)
}

func counts(ctx context.Context, q sqlx.QueryerContext, campaign int64) (mailer.Counts, error) {
	var rows []struct {
		State mailer.State
		N     int64
	}
	if err := sqlx.SelectContext(ctx, q, &rows, `SELECT state, n FROM campaign_count WHERE campaign = ?`, campaign); err != nil {
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

func zeroCounts(ctx context.Context, tx *sqlx.Tx, campaign int64) error {
	for _, s := range mailer.States {
		if _, err := tx.ExecContext(ctx, `INSERT INTO campaign_count (campaign, state, n) VALUES (?, ?, 0)`, campaign, string(s)); err != nil {
			return err
		}
	}
	return nil
}

// count moves n deliveries of a campaign from one state to another; an empty
// state is none. It stands beside every change of delivery.state.
func count(ctx context.Context, tx *sqlx.Tx, campaign int64, from, to mailer.State, n int64) error {
	if n == 0 || from == to {
		return nil
	}
	if from != "" {
		if _, err := tx.ExecContext(ctx, `UPDATE campaign_count SET n = n - ? WHERE campaign = ? AND state = ?`, n, campaign, string(from)); err != nil {
			return fmt.Errorf("count %s: %w", from, err)
		}
	}
	if to != "" {
		if _, err := tx.ExecContext(ctx, `UPDATE campaign_count SET n = n + ? WHERE campaign = ? AND state = ?`, n, campaign, string(to)); err != nil {
			return fmt.Errorf("count %s: %w", to, err)
		}
	}
	return nil
}
