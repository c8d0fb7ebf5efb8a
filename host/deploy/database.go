package deploy

import (
	"crypto/tls"
	"fmt"
	"slices"

	"pointsman/host/credential"
	"pointsman/host/egress"
	"pointsman/host/manifest"
	"pointsman/host/sqldb"
)

// Open opens the back end of that name in manifests, which need not be valid in what they say
// of anything else: the one result that is not nil is what it is. Nothing is resolved or dialled.
func (o Opener) Open(name string) (*egress.Backend, *sqldb.DB, manifest.Faults) {
	m, faults := o.find(name)
	if m == nil {
		return nil, nil, faults
	}
	if m.SQL != nil {
		db, faults := o.database(m)
		return nil, db, faults
	}
	backend, faults := o.open(m)
	return backend, nil, faults
}

// find returns the back end of that name.
func (o Opener) find(name string) (*manifest.Backend, manifest.Faults) {
	set, faults := manifest.Load(o.Manifests)
	if faults.HasErrors() {
		return nil, faults
	}
	i := slices.IndexFunc(set.Backends, func(b *manifest.Backend) bool { return b.Name == name })
	if i < 0 {
		return nil, manifest.Faults{fault(manifest.Pos{}, CodeBackend, "", "there is no backend %q", name)}
	}
	return set.Backends[i], nil
}

// database returns the database that m describes, or nil and why there is none.
func (o Opener) database(m *manifest.Backend) (*sqldb.DB, manifest.Faults) {
	bad := func(code, path string, err error) (*sqldb.DB, manifest.Faults) {
		return nil, manifest.Faults{fault(m.Pos, code, path, "backend %s: %v", m.Name, err)}
	}
	b := m.SQL
	c := sqldb.Config{
		Name: m.Name, Driver: b.Driver, Folder: o.Databases, File: b.File,
		Address: b.Address, Database: b.Database, User: b.User, Insecure: b.Insecure, ReadRole: b.ReadRole,
		Limits: sqldb.Limits{
			Time: b.Limits.Time, Rows: b.Limits.Rows, Bytes: b.Limits.Bytes, Cell: b.Limits.Cell, Connections: b.Limits.Connections,
		},
		Statements: map[string]sqldb.Statement{},
	}
	for name, s := range b.Statements {
		c.Statements[name] = statementOf(s)
	}
	if b.Driver == manifest.DriverSQLite && o.Databases == "" {
		return bad(CodeBackend, "spec.sql.file", fmt.Errorf("this broker has no folder of databases; serve --databases DIR names one"))
	}
	if b.Password != "" {
		if _, err := o.Secret(b.Password); err != nil {
			return bad(CodeSecret, "spec.sql.password.secret", &secretError{"spec.sql.password.secret", b.Password, err})
		}
		c.Password = credential.Password(b.Password, credential.Parts{Secret: o.Secret})
	}
	if b.TLS != nil {
		pool, err := caPool(o.Manifests, b.TLS)
		if err != nil {
			return bad(CodeBackend, "spec.sql.tls", err)
		}
		c.TLS = sqldb.TLS{RootCAs: pool, ServerName: b.TLS.ServerName}
		if b.TLS.MinVersion == "1.3" {
			c.TLS.MinVersion = tls.VersionTLS13
		}
	}
	var err error
	if b.Driver != manifest.DriverSQLite {
		if c.Dial, err = egress.NewDialer(m.Name, b.Private); err != nil {
			return bad(CodeBackend, "spec.sql.private", err)
		}
	}
	db, err := sqldb.Open(c)
	if err != nil {
		return nil, manifest.Faults{fault(m.Pos, CodeBackend, "spec.sql", "%v", err)} // it names the back end
	}
	return db, nil
}

func statementOf(s *manifest.Statement) sqldb.Statement {
	out := sqldb.Statement{SQL: s.SQL, Choices: s.Choices, Write: s.Write, Rows: s.Rows, Labels: s.Labels}
	for _, p := range s.Params {
		out.Params = append(out.Params, sqldb.Param{Name: p.Name, Type: p.Type, MaxLength: p.MaxLength, Optional: p.Optional})
	}
	return out
}
