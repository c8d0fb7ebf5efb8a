package gateway

import (
	"crypto/sha256"
	"hash"
	"io"
)

// Proof is that a request came through the gateway. The zero Proof proves nothing.
type Proof struct {
	verified, signed bool
	digest           [sha256.Size]byte // signed: of the body
}

// Verified reports whether there is a proof: whether what the gateway says of the consumer
// counts for this request.
func (p Proof) Verified() bool { return p.verified }

// Body returns body, which a gateway that signs has signed too: at its end, reading fails if
// it is not the one that was. Who acts on a body reads it to its end first. The error has
// kind Unauthenticated, and ReasonOf says Body.
func (p Proof) Body(body io.ReadCloser) io.ReadCloser {
	if !p.signed {
		return body
	}
	return &checkedBody{body, sha256.New(), p.digest, nil}
}

type checkedBody struct {
	io.ReadCloser
	sum  hash.Hash
	want [sha256.Size]byte
	end  error
}

func (b *checkedBody) Read(p []byte) (int, error) {
	if b.end != nil {
		return 0, b.end
	}
	n, err := b.ReadCloser.Read(p)
	b.sum.Write(p[:n])
	if err == io.EOF && [sha256.Size]byte(b.sum.Sum(nil)) != b.want {
		err = refuse(Body)
	}
	b.end = err
	return n, err
}
