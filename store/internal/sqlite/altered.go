package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"sync"

	"github.com/jmoiron/sqlx"
)

// Altered compares with an empty ledger.
func (db *DB) Altered(ctx context.Context, q sqlx.QueryerContext) (what []string, err error) {
	want, err := emptySchema()
	if err != nil {
		return nil, err
	}
	have, err := schema(ctx, q)
	if err != nil {
		return nil, err
	}
	for name, text := range want {
		if have[name] != text {
			what = append(what, name)
		}
	}
	for name := range have {
		if _, ok := want[name]; !ok {
			what = append(what, name)
		}
	}
	slices.Sort(what)
	return what, nil
}

// emptySchema is that of an empty ledger, which it makes in memory, once.
var emptySchema = sync.OnceValues(func() (all map[string]string, err error) {
	ctx := context.Background()
	fresh, err := sql.Open("sqlite3", ":memory:")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, fresh.Close()) }()
	fresh.SetMaxOpenConns(1) // each connection would be a database of its own
	p, err := migrator(fresh)
	if err != nil {
		return nil, err
	}
	if _, err := p.Up(ctx); err != nil {
		return nil, err
	}
	return schema(ctx, sqlx.NewDb(fresh, "sqlite3"))
})

// schema has the text of each table, index, trigger and view, by its kind and name;
// what SQLite keeps for itself is left out.
func schema(ctx context.Context, q sqlx.QueryerContext) (map[string]string, error) {
	var rows []struct{ Name, Text string }
	if err := sqlx.SelectContext(ctx, q, &rows, `
		SELECT type || ' ' || name AS name, coalesce(sql, '') AS text FROM sqlite_master WHERE name NOT LIKE 'sqlite\_%' ESCAPE '\'`); err != nil {
		return nil, err
	}
	all := make(map[string]string, len(rows))
	for _, r := range rows {
		all[r.Name] = r.Text
	}
	return all, nil
}
