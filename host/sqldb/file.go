package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"modernc.org/sqlite"
)

// locate returns the file's real path and makes sure that it is a file below the folder.
func locate(folder, file string) (string, error) {
	if folder == "" || !fs.ValidPath(file) || file == "." || strings.ContainsAny(file, "\\\x00") {
		return "", errors.New("file must be a path below the folder of databases")
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return "", err
	}
	defer root.Close()
	info, err := root.Stat(filepath.FromSlash(file)) // refuses links that lead out
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is not a file", file)
	}
	base, err := filepath.EvalSymlinks(folder)
	if err != nil {
		return "", err
	}
	if base, err = filepath.Abs(base); err != nil {
		return "", err
	}
	// The real path: nothing in it is a link that could be turned elsewhere later.
	path, err := filepath.EvalSymlinks(filepath.Join(base, filepath.FromSlash(file)))
	if err != nil {
		return "", err
	}
	if rel, err := filepath.Rel(base, path); err != nil || !filepath.IsLocal(rel) {
		return "", fmt.Errorf("%s leads out of the folder of databases", file)
	}
	return path, nil
}

// openFile makes a pool of connections with the file. Nothing of path can become a
// parameter: it is escaped as a URL's path.
func openFile(path, mode string, limits Limits) (*sql.DB, error) {
	values := url.Values{}
	values.Set("mode", mode)
	values.Set("_defensive", "1")
	values.Set("_dqs", "0") // "x" is a column, never a text
	values.Set("_busy_timeout", strconv.FormatInt(limits.lockTime().Milliseconds(), 10))
	values.Set("_txlock", "deferred")
	values.Add("_pragma", "trusted_schema(0)")
	if mode == "ro" {
		values.Add("_pragma", "query_only(1)")
	} else {
		values.Add("_pragma", "foreign_keys(1)")
	}
	dsn := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(path), RawQuery: values.Encode()}
	inner, err := sqlite.NewConnector(dsn.String())
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(sqliteConnector{inner})
	db.SetMaxOpenConns(limits.Connections)
	db.SetMaxIdleConns(limits.Connections)
	db.SetConnMaxIdleTime(idleTime)
	return db, nil
}

type sqliteConnector struct{ driver.Connector }

func (c sqliteConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	registerer, ok := conn.(sqlite.AuthorizerRegisterer)
	if ok {
		err = registerer.RegisterAuthorizer(authorize)
	}
	if !ok || err != nil || handleOf(conn) == 0 {
		conn.Close()
		return nil, fmt.Errorf("sqldb: this version of the driver cannot be confined: %w", err)
	}
	return conn, nil
}

// authorize is asked for everything that a statement would do while it is compiled.
func authorize(action sqlite.AuthorizerActionCode, arg1, arg2, _, _ string) sqlite.AuthorizerReturnCode {
	switch action {
	case sqlite.AuthSelect, sqlite.AuthRead, sqlite.AuthRecursive, sqlite.AuthTransaction,
		sqlite.AuthInsert, sqlite.AuthUpdate, sqlite.AuthDelete: // of the file's tables: a connection that reads cannot write
		return sqlite.AuthorizerOK
	case sqlite.AuthFunction:
		if forbidden(SQLite, strings.ToUpper(arg2)) != nil {
			return sqlite.AuthorizerDeny
		}
		return sqlite.AuthorizerOK
	}
	return sqlite.AuthorizerDeny // attach, pragma, temporary tables, schema, ...
}
