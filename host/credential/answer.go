package credential

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// tokenAnswer is what a token endpoint says: RFC 6749 §5.1 and §5.2. What it says besides
// is not looked at.
type tokenAnswer struct {
	Access  string         `json:"access_token"`
	Type    string         `json:"token_type"`
	Refresh string         `json:"refresh_token"`
	Expires jsontext.Value `json:"expires_in"`
	Error   string         `json:"error"`
}

// maxDepth is how deeply an answer may be nested: SECURITY-RULES §2.6.
const maxDepth = 64

var errAnswer = errors.New("it is not the JSON that was expected")

// checkJSON refuses what is not one JSON value of at most MaxAnswer bytes and maxDepth
// levels, without duplicate names and in valid UTF-8.
func checkJSON(body []byte) error {
	if len(body) > MaxAnswer {
		return errAnswer
	}
	d := jsontext.NewDecoder(bytes.NewReader(body))
	for values := 0; ; {
		if _, err := d.ReadToken(); errors.Is(err, io.EOF) && values == 1 {
			return nil
		} else if err != nil || d.StackDepth() > maxDepth {
			return errAnswer
		}
		if d.StackDepth() == 0 {
			values++
		}
		if values > 1 {
			return errAnswer
		}
	}
}

// readToken reads the body of a token endpoint's answer, strictly: names in their case and
// once. Its error repeats nothing of the body.
func readToken(body []byte) (tokenAnswer, error) {
	var a tokenAnswer
	if err := checkJSON(body); err != nil {
		return tokenAnswer{}, err
	}
	if err := json.Unmarshal(body, &a); err != nil { // whose words may quote the body
		return tokenAnswer{}, errAnswer
	}
	return a, nil
}

// maxStated is the longest life that is understood; more would say no more.
const maxStated = 24 * time.Hour

// lifetime reads expires_in: a whole number of seconds, or a text of one, as some send it.
// Everything else, such as none, zero, a negative number or garbage, is 0: nothing is said.
func (a tokenAnswer) lifetime() time.Duration {
	text := strings.Trim(string(a.Expires), `"`)
	text, _, _ = strings.Cut(text, ".") // a fraction is less than a second
	if text == "" || len(text) > 18 || strings.Trim(text, "0123456789") != "" {
		return 0
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return time.Duration(min(seconds, int64(maxStated/time.Second))) * time.Second
}

// oauthWords are the error codes of RFC 6749 §4.1.2.1 and §5.2. Nothing else that an
// endpoint says gets into a log.
var oauthWords = []string{
	"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope",
	"access_denied", "unsupported_response_type", "server_error", "temporarily_unavailable",
}

// refusalOf turns an answer that brings no token into a failure. word is its "error", ""
// if there is none or it was not to be read.
func refusalOf(status int, after time.Duration, word string) *failure {
	f := &failure{words: "the answer has status " + strconv.Itoa(status), after: after}
	if slices.Contains(oauthWords, word) {
		f.words += " and says " + word
	}
	passing := status >= 500 || status == 408 || status == 425 || status == 429 || word == "server_error" || word == "temporarily_unavailable"
	f.refused = !passing && (status >= 400 || word != "")
	return f
}
