package sqlite

import (
	"context"
	"strings"

	"github.com/jmoiron/sqlx"

	"oshirase/store/internal/engine"
)

// BeginBulk drops the indexes of blind keys. They take their entries at random
// places, which costs more than all the rest once they outgrow the page cache;
// sorted at the end they cost a fraction. What is appended needs no cache; sorting
// takes as much memory as the cache may, and a second thread for the runs.
func (db *DB) BeginBulk(ctx context.Context, tx *sqlx.Tx) error {
	db.bulk = nil
	if err := tx.SelectContext(ctx, &db.bulk, `
		SELECT sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'recipient' AND name LIKE 'recipient\_%' ESCAPE '\' ORDER BY name DESC`); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `
		CREATE TEMP TABLE import_waiting (n INTEGER PRIMARY KEY, sealed BLOB NOT NULL);
		DROP INDEX recipient_person;
		DROP INDEX recipient_email;
		PRAGMA cache_size = -`+writerCache+`;
		PRAGMA shrink_memory;
		PRAGMA threads = 1`)
	return err
}

// EndBulk builds the indexes anew.
func (db *DB) EndBulk(ctx context.Context, tx *sqlx.Tx) error {
	for _, index := range db.bulk {
		if _, err := tx.ExecContext(ctx, index); err != nil {
			return err
		}
	}
	db.bulk = nil
	return nil
}

// AddRecipients leaves the ids to SQLite: with ids of ours the statement would need a
// journal of its own. The population is bound once, since each argument is a call into C.
func (db *DB) AddRecipients(ctx context.Context, tx *sqlx.Tx, incident, merchant int64, rows []engine.Recipient) (int, error) {
	args := make([]any, 2, 2+7*len(rows))
	args[0], args[1] = incident, merchant
	for i := range rows {
		r := &rows[i]
		args = append(args, r.PersonKey, orNull(r.Blind.Email), orNull(r.Blind.Phone), orNull(r.Blind.Kana), orNull(r.Blind.Similar), r.Bound, r.Sealed)
	}
	result, err := tx.ExecContext(ctx, `INSERT OR IGNORE INTO recipient (incident, merchant, person_key, email_key, phone_key, kana_key, similar_key, bound, sealed) VALUES `+
		strings.Repeat(`,(?1,?2,?,?,?,?,?,?,?)`, len(rows))[1:], args...)
	if err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	return int(n), err
}

func orNull(key int64) any {
	if key == 0 {
		return nil
	}
	return key
}

// deliveryRows is how many deliveries one INSERT takes.
const deliveryRows = 64

// AddDeliveries binds once what the rows have in common. Their IDs are the last ones:
// nobody else writes meanwhile, and AUTOINCREMENT gives them one after another.
func (db *DB) AddDeliveries(ctx context.Context, tx *sqlx.Tx, of engine.Frozen, rows []engine.Delivery) ([]int64, error) {
	ids := make([]int64, 0, len(rows))
	for len(rows) > 0 {
		part := rows[:min(len(rows), deliveryRows)]
		rows = rows[len(part):]
		args := make([]any, 5, 5+6*len(part))
		args[0], args[1], args[2], args[3], args[4] = of.Campaign, of.Merchant, string(of.State), orNull(of.Chunk), of.Round
		for i := range part {
			d := &part[i]
			var hash, told any
			if d.Hash != nil {
				hash = d.Hash
			}
			if d.Told != nil {
				told = string(d.Told)
			}
			args = append(args, d.Recipient, hash, told, d.Exposures, string(d.Suppressed), d.Group)
		}
		r, err := tx.ExecContext(ctx, `INSERT INTO delivery (campaign, merchant, state, chunk, round, recipient, hash, told, exposures, suppressed, grp) VALUES `+
			strings.Repeat(`,(?1,?2,?3,?4,?5,?,?,?,?,?,?)`, len(part))[1:], args...)
		if err != nil {
			return nil, err
		}
		last, err := r.LastInsertId()
		if err != nil {
			return nil, err
		}
		for id := last - int64(len(part)) + 1; id <= last; id++ {
			ids = append(ids, id)
		}
	}
	return ids, nil
}
