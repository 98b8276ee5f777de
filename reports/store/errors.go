package store

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/mattn/go-sqlite3"
)

// ErrUnavailable marks errors that pass: another program holds the database, or the
// disk is full. What was recorded before is whole, and a run can be resumed.
var ErrUnavailable = errors.New("the database is not available")

// errNoSharedMemory marks that a reader cannot make the file for shared memory.
var errNoSharedMemory = errors.New("no shared memory")

// marked is an error with words of its own that errors.Is takes for another.
type marked struct {
	text string
	as   error
}

func (m marked) Error() string        { return m.text }
func (m marked) Is(target error) bool { return target == m.as }

func unavailable(text string) error { return marked{text, ErrUnavailable} }

// explain turns what SQLite says into what happened and what can be done about it.
func (db *DB) explain(err error) error {
	if err == nil {
		return nil
	}
	if db.ctx.Err() != nil {
		return db.ctx.Err()
	}
	var e sqlite3.Error
	if !errors.As(err, &e) {
		return fmt.Errorf("database %s: %w", db.path, err)
	}
	switch {
	case e.Code == sqlite3.ErrFull, e.SystemErrno == syscall.ENOSPC, e.SystemErrno == syscall.EDQUOT:
		return unavailable(fmt.Sprintf("database %s: the disk is full; make room, and go on with --resume", db.path))
	case e.Code == sqlite3.ErrBusy, e.Code == sqlite3.ErrLocked:
		return unavailable(
			fmt.Sprintf(
				"database %s: another program holds it (%s); end that program, and go on with --resume",
				db.path,
				e.Error(),
			),
		)
	case e.Code == sqlite3.ErrNotADB:
		return fmt.Errorf("%s is no SQLite database", db.path)
	case e.Code == sqlite3.ErrCorrupt:
		return fmt.Errorf(
			"database %s is damaged (%s); 'sqlite3 %s .recover' may save part of it",
			db.path,
			e.Error(),
			db.path,
		)
	case e.Code == sqlite3.ErrReadonly,
		e.SystemErrno == syscall.EACCES,
		e.SystemErrno == syscall.EROFS,
		e.SystemErrno == syscall.EPERM:
		return marked{
			fmt.Sprintf("database %s cannot be written: the file or its folder is read-only", db.path),
			errNoSharedMemory,
		}
	case e.Code == sqlite3.ErrCantOpen:
		return marked{
			fmt.Sprintf("database %s cannot be opened: do its folder and the right to write there exist?", db.path),
			errNoSharedMemory,
		}
	case e.Code == sqlite3.ErrIoErr && e.ExtendedCode == sqlite3.ErrIoErrShortRead:
		return fmt.Errorf(
			"database %s is damaged: it is shorter than it says; 'sqlite3 %s .recover' may save part of it",
			db.path,
			db.path,
		)
	case e.Code == sqlite3.ErrIoErr:
		return fmt.Errorf("database %s: the disk or file system reports an error (%s)", db.path, e.Error())
	case e.Code == sqlite3.ErrError && strings.Contains(e.Error(), "no such"):
		return fmt.Errorf("database %s is damaged: %s", db.path, e.Error())
	}
	return fmt.Errorf("database %s: %w", db.path, err)
}
