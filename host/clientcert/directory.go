package clientcert

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"pointsman/host/broker"
)

// Consumer is whose certificates are those with a name, by a certificate authority.
type Consumer struct {
	Principal broker.Principal
	Roots     []byte // PEM
	Name      string // a SAN: a DNS name, or a URI as its certificate writes it
}

// Directory is the consumers of one release that have certificates. It does not change, and
// may be used concurrently. The zero and the nil Directory know nobody.
type Directory struct{ authorities []*authority }

// authority is the consumers of one set of roots.
type authority struct {
	trust  *Trust
	byName map[string]broker.Principal
}

// NewDirectory returns the directory of consumers. Two of the same roots and name are an
// error, however the files with the roots are called. now is as in NewTrust.
func NewDirectory(consumers []Consumer, now func() time.Time) (*Directory, error) {
	d := &Directory{}
	byRoots := map[[sha256.Size]byte]*authority{}
	for _, c := range consumers {
		id := sha256.Sum256(c.Roots)
		a := byRoots[id]
		if a == nil {
			t, err := NewTrust(c.Roots, now)
			if err != nil {
				return nil, fmt.Errorf("consumer %s: %w", c.Principal.ID, err)
			}
			a = &authority{t, map[string]broker.Principal{}}
			byRoots[id] = a
			d.authorities = append(d.authorities, a)
		}
		if c.Principal.ID == "" || c.Name == "" {
			return nil, errors.New("clientcert: a consumer and a name are needed")
		}
		if other, taken := a.byName[c.Name]; taken {
			return nil, fmt.Errorf("clientcert: the certificate of %s is consumer %s's and consumer %s's", c.Name, other.ID, c.Principal.ID)
		}
		a.byName[c.Name] = c.Principal
	}
	return d, nil
}

var (
	errNobody = errors.New("clientcert: the certificate is no consumer's")
	errTwo    = errors.New("clientcert: the certificate is two consumers'")
)

// Authenticate returns whose certificate it is. Every refusal, two consumers whose names are
// both in it included, has kind Unauthenticated and the same Detail.
func (d *Directory) Authenticate(c Chain) (broker.Principal, error) {
	var found *broker.Principal
	cause := errNobody
	if d != nil {
		for _, a := range d.authorities {
			names, err := a.trust.Names(c)
			if err != nil {
				continue // another's, perhaps
			}
			for _, n := range names {
				p, ok := a.byName[n]
				switch {
				case !ok:
				case found != nil && found.ID != p.ID:
					cause = errTwo
				default:
					found = &p
				}
			}
		}
	}
	if found == nil || cause == errTwo {
		return broker.Principal{}, &broker.Error{Kind: broker.Unauthenticated, Detail: "no valid credential", Err: cause}
	}
	return *found, nil
}
