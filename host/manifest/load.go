package manifest

import (
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"go.yaml.in/yaml/v4"
)

// document is the frame that every kind but PluginAbout has around its spec.
type document[T any] struct {
	Name string
	Pos  Pos
	Spec T
}

// framed is the form of a whole document of one kind.
func framed[T any](kind string, spec form[T]) form[document[T]] {
	type metadata struct {
		Name string
		Pos  Pos
	}
	nameKey := key("name", name(plainName), "the document's name, unique within its kind", func(m *metadata) *string { return &m.Name })
	read := nameKey.read
	nameKey.read = func(r *reader, n *yaml.Node, at string, m *metadata) {
		read(r, n, at, m)
		m.Pos = r.pos(n)
	}
	meta := object(metadata{}, nil, required(nameKey))
	return object(document[T]{}, nil,
		fixed[document[T]]("apiVersion", codeVersion, APIVersion),
		fixed[document[T]]("kind", codeKind, kind),
		field[document[T]]{
			name: "metadata", doc: "what the document is called", must: true, schema: meta.schema,
			read: func(r *reader, n *yaml.Node, at string, d *document[T]) {
				m := meta.read(r, n, at)
				d.Name, d.Pos = m.Name, m.Pos
			},
			write: func(d *document[T]) any { return schema{"name": d.Name} },
		},
		required(key("spec", spec, "what the document says", func(d *document[T]) *T { return &d.Spec })))
}

// fixed is a key that always has one value.
func fixed[T any](key, code, value string) field[T] {
	f := choice(code, value)
	return field[T]{
		name: key, doc: "always " + value, must: true, schema: schema{"const": value},
		read:  func(r *reader, n *yaml.Node, at string, _ *T) { f.read(r, n, at) },
		write: func(*T) any { return value },
	}
}

func backendForm() form[document[Backend]]   { return framed(KindBackend, backendSpec()) }
func domainForm() form[document[Domain]]     { return framed(KindDomain, domainSpec()) }
func pluginForm() form[document[Plugin]]     { return framed(KindPlugin, pluginSpec()) }
func routeForm() form[document[Route]]       { return framed(KindRoute, routeSpec()) }
func issuerForm() form[document[Issuer]]     { return framed(KindIssuer, issuerSpec()) }
func consumerForm() form[document[Consumer]] { return framed(KindConsumer, consumerSpec()) }
func gatewayForm() form[document[Gateway]]   { return framed(KindGateway, gatewaySpec()) }

// loader is one run of Load.
type loader struct {
	backend  form[document[Backend]]
	domain   form[document[Domain]]
	plugin   form[document[Plugin]]
	route    form[document[Route]]
	issuer   form[document[Issuer]]
	consumer form[document[Consumer]]
	gateway  form[document[Gateway]]
	set      Set
	gateways []*Gateway // of which a Set has one at most
	faults   Faults
	uses     []use
	bytes    int64
	docs     int
}

// Load reads every file below root whose name ends in .yaml or .yml. Files and folders
// whose names begin with a dot are left out (mounted volumes keep older versions there).
//
// The faults are those of all files, and may be warnings only. The set is nil if they
// have errors, or if there is nothing to load. Links are followed as root follows them, so
// root is better (*os.Root).FS than os.DirFS. Load reads nothing but those files: that
// modules and certificates exist, and that plugins have the functions that routes call,
// is for whoever deploys to check.
func Load(root fs.FS) (*Set, Faults) {
	l := &loader{backend: backendForm(), domain: domainForm(), plugin: pluginForm(), route: routeForm(), issuer: issuerForm(), consumer: consumerForm(), gateway: gatewayForm()}
	files := 0
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		base := path.Base(name)
		switch {
		case err != nil:
			l.faults = append(l.faults, fileFault(name, codeUnreadable, "cannot be read: "+plainError(err)))
			return nil
		case name != "." && strings.HasPrefix(base, "."):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			return nil
		}
		switch ext := path.Ext(base); {
		case ext == ".yaml" || ext == ".yml":
			if files++; files > MaxFiles {
				l.faults = append(l.faults, fileFault(name, codeTooMany, fmt.Sprintf("more than %d files", MaxFiles)))
				return fs.SkipAll
			}
			return l.file(root, name)
		case strings.EqualFold(ext, ".yaml") || strings.EqualFold(ext, ".yml"):
			f := fileFault(name, codeExtension, "only .yaml and .yml are read; rename the file")
			f.Suggestion = strings.TrimSuffix(base, ext) + strings.ToLower(ext)
			l.faults = append(l.faults, f)
		}
		return nil
	})
	if err != nil {
		l.faults = append(l.faults, fileFault(".", codeUnreadable, "cannot be read: "+plainError(err)))
	}
	return l.finish()
}

func fileFault(name, code, message string) Fault {
	return Fault{Severity: SeverityError, Code: code, Message: message, File: name}
}

// plainError is an error without the path that it names: the fault says it already.
func plainError(err error) string {
	if p, ok := err.(*fs.PathError); ok {
		return p.Err.Error()
	}
	return err.Error()
}

// file reads one file. It returns fs.SkipAll when the set is too large to go on.
func (l *loader) file(root fs.FS, name string) error {
	text, fault := readFile(root, name)
	if fault != nil {
		l.faults = append(l.faults, *fault)
		return nil
	}
	if l.bytes += int64(len(text)); l.bytes > MaxSetBytes {
		l.faults = append(l.faults, fileFault(name, codeTooMany, fmt.Sprintf("more than %d MiB of manifests", MaxSetBytes>>20)))
		return fs.SkipAll
	}
	r := &reader{file: name}
	for _, doc := range r.documents(text) {
		if l.docs++; l.docs > MaxDocuments {
			r.add(doc, "", codeTooMany, "", "more than %d documents", MaxDocuments)
			break
		}
		if l.document(r, doc); r.cut {
			break
		}
	}
	l.faults = append(l.faults, r.faults...)
	l.uses = append(l.uses, r.uses...)
	return nil
}

func readFile(root fs.FS, name string) ([]byte, *Fault) {
	refuse := func(code, message string) ([]byte, *Fault) {
		f := fileFault(name, code, message)
		return nil, &f
	}
	info, err := fs.Stat(root, name) // before opening: a pipe would block
	switch {
	case err != nil:
		return refuse(codeUnreadable, "cannot be read: "+plainError(err))
	case !info.Mode().IsRegular():
		return refuse(codeUnreadable, "is not a regular file")
	}
	f, err := root.Open(name)
	if err != nil {
		return refuse(codeUnreadable, "cannot be read: "+plainError(err))
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, MaxFileBytes+1))
	switch {
	case err != nil:
		return refuse(codeUnreadable, "cannot be read: "+plainError(err))
	case len(text) > MaxFileBytes:
		return refuse(codeTooLarge, fmt.Sprintf("more than %d KiB; split the file", MaxFileBytes>>10))
	}
	return text, nil
}

// kinds are the kinds of a Set, in the order of the canonical form.
var kinds = []string{KindBackend, KindDomain, KindPlugin, KindRoute, KindIssuer, KindConsumer, KindGateway}

// document reads one document into the set.
func (l *loader) document(r *reader, n *yaml.Node) {
	r.inspect(n, "", 1)
	if !r.is(n, yaml.MappingNode, "", "a document with apiVersion, kind, metadata and spec") {
		return
	}
	kind := child(n, "kind")
	if kind == n {
		r.add(n, "kind", codeMissing, "", `key "kind" is missing: expected %s`, oneOf(kinds))
		return
	}
	text, ok := r.text(kind, "kind", oneOf(kinds))
	if !ok {
		return
	}
	var written any
	before := len(r.uses)
	switch text {
	case KindBackend:
		d := l.backend.read(r, n, "")
		d.Spec.Name, d.Spec.Pos = d.Name, d.Pos
		l.set.Backends = append(l.set.Backends, &d.Spec)
		written = l.backend.write(d)
	case KindDomain:
		d := l.domain.read(r, n, "")
		d.Spec.Name, d.Spec.Pos = d.Name, d.Pos
		l.set.Domains = append(l.set.Domains, &d.Spec)
		written = l.domain.write(d)
	case KindPlugin:
		d := l.plugin.read(r, n, "")
		d.Spec.Name, d.Spec.Pos = d.Name, d.Pos
		l.set.Plugins = append(l.set.Plugins, &d.Spec)
		for i := range r.uses[before:] {
			r.uses[before+i].by = &d.Spec
		}
		written = l.plugin.write(d)
	case KindRoute:
		d := l.route.read(r, n, "")
		d.Spec.Name, d.Spec.Pos = d.Name, d.Pos
		l.set.Routes = append(l.set.Routes, &d.Spec)
		written = l.route.write(d)
	case KindIssuer:
		d := l.issuer.read(r, n, "")
		d.Spec.Name, d.Spec.Pos = d.Name, d.Pos
		l.set.Issuers = append(l.set.Issuers, &d.Spec)
		written = l.issuer.write(d)
	case KindGateway:
		d := l.gateway.read(r, n, "")
		d.Spec.Name, d.Spec.Pos = d.Name, d.Pos
		l.gateways = append(l.gateways, &d.Spec)
		written = l.gateway.write(d)
	case KindConsumer:
		d := l.consumer.read(r, n, "")
		d.Spec.Name, d.Spec.Pos = d.Name, d.Pos
		if d.Spec.Sector == "" {
			d.Spec.Sector = d.Name
		}
		l.set.Consumers = append(l.set.Consumers, &d.Spec)
		written = l.consumer.write(d)
	case KindPluginAbout:
		r.add(kind, "kind", codeKind, "", "a PluginAbout lives in its module (plugin.yaml), not among the manifests")
		return
	default:
		r.add(kind, "kind", codeKind, nearest(text, kinds), "expected %s, found %s", oneOf(kinds), quote(text))
		return
	}
	if len(r.faults) == 0 && len(marshal(written)) > MaxFileBytes {
		r.add(n, "", codeTooLarge, "", "the document has more than %d KiB with all defaults written out", MaxFileBytes>>10)
	}
}
