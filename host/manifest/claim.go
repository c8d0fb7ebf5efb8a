package manifest

import (
	"fmt"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Claim is one thing that must hold of a set of manifests, whoever changes them: who
// never sees a field or label, who never reaches a back end. It is no part of a Set.
type Claim struct {
	Pos     Pos
	Kind    string   // whom it binds: "plugin", "consumer" or "backend"; "nobody" binds everybody
	Name    string   // of that; empty for nobody
	Except  []string // of nobody: who may, such as "plugin mail"
	Sees    string   // a field or label, in the words of pointsman reach
	Reaches string   // "backend NAME" and the like; exactly one of Sees and Reaches is set
	Why     string   // for who reads that it failed; may be empty
}

// Nobody is the Kind of a claim about everybody.
const Nobody = "nobody"

// maxClaims in one file.
const maxClaims = 1000

// ParseClaims reads a list of claims, in the file's order; name stands for the file
// in faults. It is as strict as Load. The result is nil if the faults have errors. Whether
// there is what a claim names, host/reach knows.
func ParseClaims(name string, text []byte) ([]Claim, Faults) {
	if len(text) > MaxFileBytes {
		return nil, Faults{fileFault(name, codeTooLarge, fmt.Sprintf("more than %d KiB", MaxFileBytes>>10))}
	}
	r := &reader{file: name}
	var out []Claim
	docs := r.documents(text)
	switch {
	case len(docs) > 1:
		r.add(docs[1], "", codeLength, "", "a file of claims has one document")
	case len(docs) == 0 && len(r.faults) == 0:
		r.addAt(0, 0, "", codeNone, "", "there is no claim: an empty file would hold of everything")
	}
	if len(docs) > 0 {
		r.inspect(docs[0], "", 1)
		out = sequence(1, maxClaims, claim(), Claim.id).read(r, docs[0], "")
	}
	r.faults.sort()
	if r.faults.HasErrors() {
		return nil, r.faults
	}
	return out, r.faults
}

// String is the claim in one line.
func (a Claim) String() string {
	what := "never sees " + a.Sees
	if a.Reaches != "" {
		what = "never reaches " + a.Reaches
	}
	if a.Kind != Nobody {
		return a.Kind + " " + a.Name + " " + what
	}
	what = "nobody " + strings.TrimPrefix(what, "never ")
	if len(a.Except) > 0 {
		what += " except " + strings.Join(a.Except, ", ")
	}
	return what
}

func (a Claim) id() string { return a.String() }

// barred is what must not be.
type barred struct {
	Except        []string
	Sees, Reaches string
}

// written is one entry as the document has it.
type writtenClaim struct {
	Plugin, Consumer, Backend string
	Never, Nobody             *barred
	Why                       string
}

func claim() form[Claim] {
	sees := free(600)
	never := object(barred{}, checkBarred,
		key("sees", sees, "a field such as crm.email, or a label", func(c *barred) *string { return &c.Sees }),
		key("reaches", subjectWord(reachText), "what must be out of reach, such as backend crm", func(c *barred) *string { return &c.Reaches }))
	nobody := object(barred{}, checkBarred,
		key("except", list(0, 1000, subjectWord(exceptText), itself), "who may, such as plugin mail", func(c *barred) *[]string { return &c.Except }),
		key("sees", sees, "a field such as crm.email, or a label", func(c *barred) *string { return &c.Sees }),
		key("reaches", subjectWord(reachText), "what must be out of reach, such as backend crm", func(c *barred) *string { return &c.Reaches }))
	f := object(writtenClaim{}, checkClaim,
		key("plugin", name(plainName), "the plugin that is bound", func(w *writtenClaim) *string { return &w.Plugin }),
		key("consumer", name(plainName), "the consumer that is bound", func(w *writtenClaim) *string { return &w.Consumer }),
		key("backend", name(plainName), "the back end that must not be sent something", func(w *writtenClaim) *string { return &w.Backend }),
		key("never", pointer(never), "what must not be", func(w *writtenClaim) **barred { return &w.Never }),
		key("nobody", pointer(nobody), "what must not be of anybody", func(w *writtenClaim) **barred { return &w.Nobody }),
		key("why", free(500), "for who reads that it failed", func(w *writtenClaim) *string { return &w.Why }))
	return form[Claim]{
		schema: f.schema,
		read: func(r *reader, n *yaml.Node, at string) Claim {
			w := f.read(r, n, at)
			a := Claim{Pos: r.pos(n), Why: w.Why}
			c := w.Never
			switch {
			case w.Nobody != nil:
				a.Kind, a.Except, c = Nobody, w.Nobody.Except, w.Nobody
			case w.Plugin != "":
				a.Kind, a.Name = "plugin", w.Plugin
			case w.Consumer != "":
				a.Kind, a.Name = "consumer", w.Consumer
			default:
				a.Kind, a.Name = "backend", w.Backend
			}
			if c != nil {
				a.Sees, a.Reaches = c.Sees, c.Reaches
			}
			return a
		},
		write: func(a Claim) any { return a.String() },
	}
}

func checkBarred(r *reader, n *yaml.Node, at string, c *barred) {
	if has := child(n, "sees") != n; has == (child(n, "reaches") != n) {
		r.add(n, at, codeContradiction, "", "expected one of sees and reaches")
	}
}

func checkClaim(r *reader, n *yaml.Node, at string, w *writtenClaim) {
	bound := 0
	for _, key := range []string{"plugin", "consumer", "backend", Nobody} {
		if child(n, key) != n {
			bound++
		}
	}
	switch nobody, never := child(n, Nobody) != n, child(n, "never") != n; {
	case bound != 1:
		r.add(n, at, codeContradiction, "", "expected one of plugin, consumer, backend and nobody")
	case nobody && never:
		r.add(child(n, "never"), join(at, "never"), codeContradiction, "", "nobody says itself what must not be")
	case !nobody && !never:
		r.add(n, join(at, "never"), codeMissing, "", `key "never" is missing: what must not be`)
	case w.Backend != "" && w.Never != nil && w.Never.Reaches != "":
		r.add(child(n, "never", "reaches"), join(at, "never.reaches"), codeContradiction, "", "a back end reaches nothing: it is asked, and may see what it is sent")
	}
}

// Who may be an exception, and what may be out of reach.
var (
	exceptText = regexp.MustCompile(`^(?:plugin|consumer|backend|kv|log) [a-z][a-z0-9-]{0,62}$`)
	reachText  = regexp.MustCompile(`^(?:(?:plugin|backend|domain|route|statement|secret) [a-zA-Z0-9][a-zA-Z0-9._/-]{0,126}|kv|log)$`)
)

// subjectWord is a kind and a name.
func subjectWord(pattern *regexp.Regexp) form[string] {
	return word("a kind and a name, such as backend crm", schema{"pattern": pattern.String()}, func(s string) (string, *problem) {
		if !pattern.MatchString(s) {
			return "", problemf(codeWord, "", "expected a kind and a name, such as backend crm, found %s", quote(s))
		}
		return s, nil
	}, itself)
}
