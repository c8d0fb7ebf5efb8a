package token

import (
	"errors"

	"pointsman/host/broker"
)

// Reason is why a token was refused. It is for logs and metrics, never for whoever sent it.
type Reason string

// The reasons.
const (
	Oversized      Reason = "oversized"        // more than MaxToken bytes
	Malformed      Reason = "malformed"        // not a signed JWT in compact form, or not strict JSON
	BadHeader      Reason = "header"           // a header that is never taken: crit, jku, jwk, x5u, cty ...
	BadClaims      Reason = "claims"           // a claim is missing or of the wrong type, or binds the token to a key
	WrongAlgorithm Reason = "algorithm"        // not one that this issuer may sign with
	WrongIssuer    Reason = "issuer"           // iss is nobody's
	WrongAudience  Reason = "audience"         // aud is someone else
	Expired        Reason = "expired"          // exp has passed
	NotYet         Reason = "not-yet"          // nbf or iat is to come
	UnknownKey     Reason = "key"              // no key of the issuer has that kid and is for that algorithm
	BadSignature   Reason = "signature"        // the key did not make it
	NoConsumer     Reason = "no-consumer"      // no consumer has these claims
	TwoConsumers   Reason = "two-consumers"    // more than one has
	NoKeys         Reason = "keys-not-at-hand" // the issuer did not answer: kind Unavailable
)

// Refusal is the cause of every error of Verify but those of its context.
type Refusal struct{ Reason Reason }

func (r Refusal) Error() string { return "token: refused: " + string(r.Reason) }

// ReasonOf returns why Verify refused, and "" if err is not such an error.
func ReasonOf(err error) Reason {
	var r Refusal
	errors.As(err, &r)
	return r.Reason
}

func refuse(r Reason) error {
	return &broker.Error{Kind: broker.Unauthenticated, Detail: "no valid credential", Err: Refusal{r}}
}
