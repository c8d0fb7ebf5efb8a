package manifest

import (
	"net/netip"
	"time"
)

// Auth says which credential goes where in the requests to a back end. Nobody else
// chooses. A Set has exactly one of Secret, HMAC, SigV4, OAuth2 and Login.
type Auth struct {
	Secret string // name of a secret that is sent as it is
	Spot          // of Secret
	User   string // AsBasic: the user whose password the secret is; empty: the secret is "user:password"
	HMAC   *HMACAuth
	SigV4  *SigV4Auth
	OAuth2 *OAuth2Auth
	Login  *LoginAuth
}

// Spot is where in a request a credential goes.
type Spot struct {
	As     string // one of the As constants
	Name   string // AsHeader: canonical header name; AsQuery, AsCookie: the parameter's or cookie's; else empty
	Prefix string // AsHeader, AsPath: what stands before it in the value or segment
}

// Places for a credential.
const (
	AsBearer = "bearer"
	AsHeader = "header"
	AsBasic  = "basic"
	AsQuery  = "query"
	AsPath   = "path"   // the first segment after the base path
	AsCookie = "cookie" // a session of LoginAuth only
)

// HMACAuth signs each request with a key that both sides know.
type HMACAuth struct {
	Secret    string // name of the key's secret
	Key       string // how the key is written: KeyText unless written, EncodingHex or EncodingBase64
	Hash      string // HashSHA256 unless written, HashSHA384 or HashSHA512
	Over      []string
	Join      string // what stands between the parts; "\n" unless written
	Signature HMACField
	Digest    HMACField // of the body; its Name is empty if it is not sent
	Timestamp Timestamp // its Name is empty if none is sent
	Nonce     string    // canonical name of a header for 128 random bits, in hex; empty: none is sent
	KeyID     KeyID     // its Name is empty if none is sent
}

// HMACField is a header that carries a signature or digest.
type HMACField struct {
	Name     string // canonical
	Prefix   string
	Encoding string // EncodingHex unless written, or EncodingBase64
}

// Timestamp is a header with the time of the request.
type Timestamp struct {
	Name   string // canonical
	Format string // TimeUnix unless written, TimeMillis, TimeRFC3339 or TimeHTTP
}

// KeyID is a header that says whose key signed.
type KeyID struct {
	Name  string // canonical
	Value string // no secret
}

// What a signature can cover, in the order that the manifest gives.
const (
	OverMethod    = "method"
	OverHost      = "host"
	OverPath      = "path"      // as it is sent, with the base path
	OverQuery     = "query"     // as it is sent, without the question mark
	OverTarget    = "target"    // path, and query after a question mark if there is one
	OverTimestamp = "timestamp" // as in its header
	OverNonce     = "nonce"     // as in its header
	OverKeyID     = "keyId"     // as in its header
	OverDigest    = "digest"    // of the body, encoded as its header is, without a prefix
	OverBody      = "body"      // byte for byte
)

// Hashes, encodings and formats of time.
const (
	HashSHA256     = "sha256"
	HashSHA384     = "sha384"
	HashSHA512     = "sha512"
	KeyText        = "text"
	EncodingHex    = "hex"
	EncodingBase64 = "base64"
	TimeUnix       = "unix"       // seconds
	TimeMillis     = "unixMillis" // milliseconds
	TimeRFC3339    = "rfc3339"    // UTC, whole seconds
	TimeHTTP       = "http"       // RFC 9110 §5.6.7
)

// SigV4Auth signs each request as AWS asks for.
type SigV4Auth struct {
	Secret  string // holds "accessKeyId:secretAccessKey", or with ":sessionToken" behind
	Region  string
	Service string
}

// Remote is a URL that the host itself calls to get a credential. Path is below the back
// end's own origin, without its base path, and is then reached as the back end is;
// otherwise URL is another origin with its path.
type Remote struct {
	Path     string
	URL      string
	Private  []netip.Prefix // private addresses that may be dialled, sorted
	Insecure bool           // plain HTTP is meant
	TLS      *TLS           // nil: the system's roots
}

// OAuth2Auth gets a token of an authorization server (RFC 6749) and sends it.
type OAuth2Auth struct {
	Token     Remote
	Grant     string // one of the Grant constants
	Client    OAuth2Client
	Refresh   string        // GrantRefresh: name of the secret with the refresh token
	Assertion *Assertion    // GrantJWTBearer
	Scopes    []string      // sorted
	Audience  string        // sent as "audience"
	Resource  string        // sent as "resource" (RFC 8707)
	Lifetime  time.Duration // the longest that a token is used; 0: the default of host/credential
	Spot
}

// Grants.
const (
	GrantClient    = "client_credentials"
	GrantRefresh   = "refresh_token"
	GrantJWTBearer = "jwt_bearer"
)

// OAuth2Client is as whom the token is asked for. At most one of Secret and Key is set;
// with neither the client proves itself by the client certificate with which the token
// endpoint is reached (RFC 8705 §2), or by the assertion of GrantJWTBearer.
type OAuth2Client struct {
	ID       string // no secret
	Secret   string // name of a secret
	Send     string // of Secret: ClientBasic unless written, or ClientPost
	Key      *SigningKey
	Audience string // of assertions that Key signs; URL of the token endpoint unless written
}

// How a client's secret is sent: RFC 6749 §2.3.1.
const (
	ClientBasic = "basic" // in Authorization
	ClientPost  = "post"  // in the form
)

// SigningKey signs assertions.
type SigningKey struct {
	Secret string // name of a secret with a private key in PEM
	Alg    string // RS256, PS256, ES256 or EdDSA
	ID     string // goes into the assertion as kid; empty: none
}

// Assertion is what a JWT of GrantJWTBearer says (RFC 7523 §3).
type Assertion struct {
	Key      SigningKey
	Issuer   string // the client's ID unless written
	Subject  string // the issuer unless written
	Audience string // URL of the token endpoint unless written
}

// LoginAuth makes one POST whose answer holds a session value, and sends that.
type LoginAuth struct {
	At       Remote
	Send     string                // LoginJSON unless written, or LoginForm
	Fields   map[string]LoginField // what is sent
	Token    string                // JSON pointer (RFC 6901) to the session value in the answer
	Lifetime time.Duration         // the longest that a session is used; 0: the default of host/credential
	Spot
}

// Forms of a login.
const (
	LoginJSON = "json"
	LoginForm = "form"
)

// LoginField is a text, or the secret of a name.
type LoginField struct{ Text, Secret string }
