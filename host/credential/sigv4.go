package credential

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// SigV4 says how requests are signed for AWS, and for what speaks like it.
type SigV4 struct {
	// Secret is the name of a secret that holds "accessKeyId:secretAccessKey", or with
	// ":sessionToken" behind: one secret, so that all of it is replaced at once.
	Secret  string
	Region  string // such as eu-central-1
	Service string // such as execute-api
}

// SigV4Placement signs requests. Safe for concurrent use.
type SigV4Placement struct {
	conf  SigV4
	parts Parts
}

// NewSigV4 checks c and returns a placement for it. The secret is opened once, so that one
// that is missing or cannot be used is found now.
func NewSigV4(c SigV4, p Parts) (*SigV4Placement, error) {
	for _, word := range []string{c.Region, c.Service} {
		if word == "" || escaped(word) != word {
			return nil, errors.New("region and service are letters, digits and hyphens")
		}
	}
	s := &SigV4Placement{c, p.filled()}
	_, forms, err := s.keys()
	wipe(forms...)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// keys opens the secret. forms are all that is to be looked for, the keys among them, and
// the caller's to wipe, with an error too; nil when the secret cannot be opened.
func (s *SigV4Placement) keys() (keys, forms [][]byte, err error) {
	plain, old, err := s.parts.openAll(s.conf.Secret)
	if err != nil {
		return nil, nil, err
	}
	for _, text := range append(old, plain) {
		keys = bytes.SplitN(text, []byte(":"), 3)
		forms = append(append(forms, text), keys[1:]...) // the id of a key is no secret
	}
	if len(keys) < 2 || !printable(string(plain)) || slices.ContainsFunc(keys, func(k []byte) bool { return len(k) == 0 || bytes.Contains(k, []byte(" ")) }) {
		return nil, forms, fmt.Errorf(`the secret %s is not "accessKeyId:secretAccessKey" or "accessKeyId:secretAccessKey:sessionToken"`, s.conf.Secret)
	}
	return keys, forms, nil
}

// Place implements egress.Placement.
func (s *SigV4Placement) Place(ctx context.Context, req *http.Request, body []byte) (Used, error) {
	keys, forms, err := s.keys()
	if err != nil {
		wipe(forms...)
		if forms == nil {
			return nil, missing(err)
		}
		return nil, unfit(err)
	}
	// A copy is signed: the signer rewrites the query, which is to be sent as it was checked,
	// and wants a URL with its path behind the host.
	signed := &http.Request{
		Method: req.Method, Host: req.Host, Header: req.Header.Clone(), ContentLength: int64(len(body)),
		URL: &url.URL{Scheme: req.URL.Scheme, Host: req.URL.Host, Opaque: "//" + req.URL.Host + sentPath(req.URL), RawQuery: req.URL.RawQuery},
	}
	signed.Header.Del("Accept-Encoding") // proxies on the way change it
	digest := sha256.Sum256(body)
	payload := hex.EncodeToString(digest[:])
	s3 := strings.HasPrefix(s.conf.Service, "s3")
	if s3 {
		signed.Header.Set("X-Amz-Content-Sha256", payload) // S3 wants it, others do not
	}
	pair := aws.Credentials{AccessKeyID: string(keys[0]), SecretAccessKey: string(keys[1])}
	if len(keys) == 3 {
		pair.SessionToken = string(keys[2])
	}
	// A signer of its own: one that is kept keeps derived keys by the key's id, after the
	// secret behind the id was replaced too.
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = s3 }) // S3 does not escape twice
	if err := signer.SignHTTP(ctx, pair, signed, payload, s.conf.Service, s.conf.Region, s.parts.Now().UTC()); err != nil {
		return nil, unfit(errors.New("the request cannot be signed")) // the library's words may quote it
	}
	for _, name := range sigV4Headers {
		if v := signed.Header[name]; v != nil {
			req.Header[name] = v
		}
	}
	return used(forms), nil
}

// Current implements egress.Placement.
func (s *SigV4Placement) Current() Used {
	_, forms, _ := s.keys() // one that is no pair may be known all the same
	if forms == nil {
		return nil
	}
	return used(forms)
}

// sigV4Headers are what the signer sets.
var sigV4Headers = []string{"Authorization", "X-Amz-Date", "X-Amz-Security-Token", "X-Amz-Content-Sha256"}

// Owns implements egress.Placement. A signature in the query would contradict this one.
func (s *SigV4Placement) Owns(where, name string) bool {
	if where == "query" {
		return len(name) >= 6 && strings.EqualFold(name[:6], "x-amz-")
	}
	return where == "header" && slices.ContainsFunc(sigV4Headers, func(own string) bool { return sameHeader(own, name) })
}

// Refused implements egress.Placement: another signature would be no better.
func (s *SigV4Placement) Refused(Used) bool { return false }
