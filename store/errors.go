package store

import (
	"database/sql"
	"errors"
	"fmt"

	"github.com/mattn/go-sqlite3"

	"oshirase/mailer"
)

// What can be wrong with the database itself; nothing was written.
var (
	ErrDiskFull    = errors.New("the disk is full: free some space on the database's volume and run the command again")
	ErrReadOnly    = errors.New("the database is read-only: check the permissions of the file and of its directory")
	ErrNotDatabase = errors.New("the file is not an oshirase database (or it is damaged): check the database path, or restore a backup")
	ErrLocked      = errors.New("another program keeps the database locked: wait for it or end it, then try again")
	ErrIO          = errors.New("the disk reports an error: check the volume before going on")
	ErrNoFile      = errors.New("the database file cannot be opened: check that it exists and who may read and write it")
)

// explain says what to do about errors of the database; others pass.
func explain(err error) error {
	var e sqlite3.Error
	if !errors.As(err, &e) {
		return err
	}
	var what error
	switch e.Code {
	case sqlite3.ErrFull:
		what = ErrDiskFull
	case sqlite3.ErrReadonly, sqlite3.ErrPerm:
		what = ErrReadOnly
	case sqlite3.ErrNotADB, sqlite3.ErrCorrupt:
		what = ErrNotDatabase
	case sqlite3.ErrBusy, sqlite3.ErrLocked:
		what = ErrLocked
	case sqlite3.ErrIoErr:
		what = ErrIO
	case sqlite3.ErrCantOpen:
		what = ErrNoFile
	default:
		return err
	}
	return fmt.Errorf("%w (%w)", what, err)
}

// wrap names the operation that failed.
func wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", op, explain(err))
}

// missing turns an empty result into ErrNotFound.
func missing(err error, what, id string) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("%w: %s %q", mailer.ErrNotFound, what, id)
	}
	return err
}

func conflict(format string, args ...any) error {
	return fmt.Errorf("%w: %s", mailer.ErrConflict, fmt.Sprintf(format, args...))
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", mailer.ErrInvalid, fmt.Sprintf(format, args...))
}

func unique(err error) bool {
	var e sqlite3.Error
	return errors.As(err, &e) && e.Code == sqlite3.ErrConstraint &&
		(e.ExtendedCode == sqlite3.ErrConstraintUnique || e.ExtendedCode == sqlite3.ErrConstraintPrimaryKey)
}
