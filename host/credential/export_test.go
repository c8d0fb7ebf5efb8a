package credential

// What fuzz tests look at.
var (
	ReadToken   = readToken
	ReadPointer = readPointer
)

// TokenAnswer is what ReadToken returns.
type TokenAnswer = tokenAnswer

// Lifetime is what an answer says of its token's life.
var Lifetime = tokenAnswer.lifetime

// MaxStated is the longest that Lifetime returns.
const MaxStated = maxStated
