package rest

import (
	"net/http"
	"strings"

	"pointsman/host/token"
)

// maxCredential is how many bytes a credential may have. Ours have under 100; the rest is
// room for the tokens of others.
const maxCredential = token.MaxToken

// credential returns what the request presents, from "Authorization: Bearer …" or
// "X-Api-Key: …". It is "" when there is nothing. ok is false when there is something that
// is no credential: a header comes twice or is empty, another scheme is used, or both headers
// are there and differ, and nobody can say which was meant. Credentials in the query are not
// looked at, because URLs are kept in logs.
func credential(h http.Header) (presented string, ok bool) {
	bearer, hasBearer, ok1 := single(h, "Authorization")
	key, hasKey, ok2 := single(h, "X-Api-Key")
	if !ok1 || !ok2 {
		return "", false
	}
	if hasBearer {
		scheme, rest, _ := strings.Cut(bearer, " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return "", false
		}
		bearer = rest
	}
	switch {
	case hasBearer && hasKey && bearer != key:
		return "", false
	case hasBearer:
		key = bearer
	}
	if len(key) > maxCredential || key == "" && (hasBearer || hasKey) {
		return "", false
	}
	return key, true
}

// single returns the value of a header that may come once only.
func single(h http.Header, name string) (value string, has, ok bool) {
	switch values := h[name]; len(values) {
	case 0:
		return "", false, true
	case 1:
		return values[0], true, true
	}
	return "", true, false
}
