package store

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jmoiron/sqlx"

	"oshirase/mailer"
	"oshirase/mailer/journal"
	"oshirase/store/internal/engine"
)

// move is what many deliveries go through alike, and the name of their campaign.
type move struct {
	engine.Step
	campaign string
}

// transition moves deliveries. There is no other way for a state to change once a
// delivery is frozen: it holds each move against the table of transitions, and writes
// rows, events, counts and journal together.
func (c *change) transition(ctx context.Context, moves ...*move) error {
	steps, err := c.db.journal.steps(&c.tree, moves)
	if err != nil || len(steps) == 0 {
		return err
	}
	return c.db.eng.Apply(ctx, c.Tx, steps, nil)
}

// steps are the moves as the engine writes them, each event with its leaf.
func (j *ownChain) steps(tree *journal.Tree, moves []*move) ([]*engine.Step, error) {
	out := make([]*engine.Step, 0, len(moves))
	for _, m := range moves {
		if len(m.Rows) == 0 {
			continue
		}
		if !m.From.CanBecome(m.To) {
			return nil, fmt.Errorf("%s cannot become %s: %w", m.From, m.To, errCorrupt)
		}
		if m.Kind != "" {
			j.addLeaves(tree, m)
		}
		m.Chain, m.Entry = j.num, j.head.N+1
		out = append(out, &m.Step)
	}
	return out, nil
}

// addLeaves adds the events of a move to the tree of the commit.
func (j *ownChain) addLeaves(tree *journal.Tree, m *move) {
	e := journal.Event{
		Campaign: m.campaign, Kind: string(m.Kind), State: string(m.To), Relay: m.Relay, Point: string(m.Point),
		Code: int64(m.Code), Enhanced: m.Enhanced,
	}
	for i := range m.Rows {
		r := &m.Rows[i]
		e.Delivery, e.At, e.Text, e.Reply = r.ID, r.At, r.Text, journal.Hash{}
		if r.Raw != nil {
			e.Reply = sha256.Sum256(r.Raw)
		}
		r.Leaf = int(tree.Size())
		j.leaf = e.AppendLeaf(j.leaf[:0])
		tree.Add(journal.LeafHash(j.leaf))
	}
}

// millis is a time as events have it: 13 digits, 2001 to 2286.
func millis(t time.Time) int64 { return min(max(t.UnixMilli(), 1e12), 1e13-1) }

// maxText is how much of a relay's text is kept in clear, in bytes.
const maxText = 500

// cut makes a text fit to be stored: valid UTF-8, on one line, of a bounded length.
func cut(s string) string {
	s = strings.ToValidUTF8(s, "�")
	if len(s) > maxText {
		n := maxText
		for !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n]
	}
	for i := range len(s) {
		if s[i] < ' ' {
			return strings.Map(func(r rune) rune {
				if r < ' ' {
					return ' '
				}
				return r
			}, s)
		}
	}
	return s
}

// movePage is how many deliveries are moved by one statement.
const movePage = 4096

// moveAll moves all deliveries of a campaign that are in a state (and that only picks,
// a condition with its argument, where it is not empty), and returns how many. Those that
// go to queued are put into chunks of their own; meanwhile others may have told their
// people (see holdRepeats).
func (c *change) moveAll(ctx context.Context, row *campaignRow, m move, only string, args ...any) (n int64, err error) {
	m.campaign, m.Campaign, m.Phase = row.ID, row.Num, row.Phase
	for {
		var ids []struct {
			ID  int64
			Grp string
		}
		if err := find(ctx, c, &ids, `SELECT id, grp FROM delivery WHERE campaign = ? AND state = ?`+only+` ORDER BY id LIMIT ?`,
			append(append([]any{row.Num, string(m.From)}, args...), movePage)...); err != nil {
			return n, err
		}
		rows := make([]queuedRow, len(ids))
		for i, r := range ids {
			rows[i] = queuedRow{Row: engine.Row{ID: r.ID, At: m.At, Text: m.text()}, Group: r.Grp}
		}
		if err := c.moveRows(ctx, m, rows); err != nil {
			return n, err
		}
		n += int64(len(ids))
		if len(ids) < movePage {
			break
		}
	}
	if m.To == mailer.StateQueued && n > 0 {
		return n, c.holdRepeats(ctx, row)
	}
	return n, nil
}

// queuedRow is a row of a move, with the domain group that its chunk is of.
type queuedRow struct {
	engine.Row
	Group string
}

// moveRows makes one move of some deliveries; where they go to queued, one for each
// chunk that is made for them.
func (c *change) moveRows(ctx context.Context, m move, rows []queuedRow) error {
	if len(rows) == 0 {
		return nil
	}
	if m.To != mailer.StateQueued {
		m.Rows = make([]engine.Row, len(rows))
		for i := range rows {
			m.Rows[i] = rows[i].Row
		}
		return c.transition(ctx, &m)
	}
	moves := []*move{}
	most := chunkSize
	if m.Kind == mailer.EventRequeue {
		most = smallChunk
	}
	err := c.makeChunks(ctx, m.Campaign, most, rows, func(chunk int64, in []queuedRow) error {
		part := m
		part.Chunk, part.Rows = chunk, make([]engine.Row, len(in))
		for i := range in {
			part.Rows[i] = in[i].Row
		}
		moves = append(moves, &part)
		return nil
	})
	if err != nil {
		return err
	}
	return c.transition(ctx, moves...)
}

// text is what the events of a move say: it stands with its first row.
func (m *move) text() string {
	if len(m.Rows) == 0 {
		return ""
	}
	return m.Rows[0].Text
}

var _ handle = (*sqlx.Tx)(nil)
