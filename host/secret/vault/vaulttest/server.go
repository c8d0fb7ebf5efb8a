// Package vaulttest owns a stand-in for Vault and OpenBao, for tests: the part of their HTTP
// API that host/secret/vault uses, after their API documentation, with its refusals.
package vaulttest

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"
)

// Server is a Vault with one AppRole, a KV engine (version 2) at secret/ and a Transit
// engine at transit/. All its methods may be called while it serves.
type Server struct {
	*httptest.Server // with TLS; Certificate is its root
	RoleID, SecretID string
	Namespace        string        // that requests must name
	TTL, MaxTTL      time.Duration // of tokens

	mu      sync.Mutex
	tokens  map[string]*token    // guarded by mu
	kv      map[string][]version // guarded by mu; by path
	transit map[string][]byte    // guarded by mu; AES-256 keys by name
	fail    int                  // guarded by mu; status of every answer, 0: none
	seen    []string             // guarded by mu; METHOD path of every request
}

type token struct{ begun, until time.Time }

type version struct {
	data    map[string]any
	created time.Time
	deleted bool
}

// Start returns a running server with the Transit key "pointsman". The caller closes it.
func Start() *Server {
	s := &Server{
		RoleID: "role-" + rand.Text(), SecretID: rand.Text(), TTL: time.Hour, MaxTTL: 24 * time.Hour,
		tokens: map[string]*token{}, kv: map[string][]version{}, transit: map[string][]byte{"pointsman": []byte(rand.Text() + rand.Text())[:32]},
	}
	s.Server = httptest.NewTLSServer(s)
	return s
}

// Put writes a new version of a map at a path of the KV engine.
func (s *Server) Put(path string, data map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kv[path] = append(s.kv[path], version{data: data, created: time.Now().UTC()})
}

// Delete deletes the latest version at a path, as the DELETE of the API does.
func (s *Server) Delete(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if all := s.kv[path]; len(all) > 0 {
		all[len(all)-1].deleted = true
	}
}

// Fail makes every answer one of that status without content; 0 ends it.
func (s *Server) Fail(status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = status
}

// RevokeAll makes every token worthless.
func (s *Server) RevokeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tokens)
}

// Seen counts the requests whose "METHOD /path" begins so.
func (s *Server) Seen(prefix string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, line := range s.seen {
		if strings.HasPrefix(line, prefix) {
			n++
		}
	}
	return n
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, r.Method+" "+r.URL.Path)
	if s.fail != 0 {
		w.Header().Set("Location", "https://standby.example/")
		w.WriteHeader(s.fail)
		return
	}
	path, ok := strings.CutPrefix(r.URL.Path, "/v1/")
	if !ok || r.Header.Get("X-Vault-Request") != "true" || r.Header.Get("X-Vault-Namespace") != s.Namespace {
		refuse(w, http.StatusNotFound)
		return
	}
	if path == "auth/approle/login" {
		s.login(w, r)
		return
	}
	held, ok := s.tokens[r.Header.Get("X-Vault-Token")]
	if !ok || time.Now().After(held.until) {
		refuse(w, http.StatusForbidden, "permission denied")
		return
	}
	s.authed(w, r, path, held)
}

func (s *Server) authed(w http.ResponseWriter, r *http.Request, path string, held *token) {
	data, isData := strings.CutPrefix(path, "secret/data/")
	verb, key, isTransit := strings.Cut(strings.TrimPrefix(path, "transit/"), "/")
	switch {
	case path == "auth/token/renew-self" && r.Method == http.MethodPost:
		left := min(s.TTL, time.Until(held.begun.Add(s.MaxTTL)))
		held.until = time.Now().Add(left)
		s.auth(w, r.Header.Get("X-Vault-Token"), left)
	case path == "auth/token/revoke-self" && r.Method == http.MethodPost:
		delete(s.tokens, r.Header.Get("X-Vault-Token"))
		w.WriteHeader(http.StatusNoContent)
	case isData && r.Method == http.MethodGet:
		s.read(w, data)
	case strings.HasPrefix(path, "transit/") && isTransit && r.Method == http.MethodPost:
		s.crypt(w, r, verb, key)
	default: // no policy allows anything else
		refuse(w, http.StatusForbidden, "1 error occurred:\n\t* permission denied\n\n")
	}
}

func (s *Server) login(w http.ResponseWriter, r *http.Request) {
	var in struct {
		RoleID   string `json:"role_id"`
		SecretID string `json:"secret_id"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.RoleID != s.RoleID || in.SecretID != s.SecretID {
		refuse(w, http.StatusBadRequest, "invalid role or secret ID")
		return
	}
	id := "hvs." + rand.Text() + rand.Text()
	now := time.Now()
	s.tokens[id] = &token{now, now.Add(s.TTL)}
	s.auth(w, id, s.TTL)
}

func (s *Server) auth(w http.ResponseWriter, id string, ttl time.Duration) {
	reply(w, http.StatusOK, map[string]any{"data": nil, "auth": map[string]any{
		"client_token": id, "accessor": rand.Text(), "policies": []string{"default", "pointsman"}, "token_type": "service",
		"lease_duration": int(ttl.Seconds()), "renewable": true,
	}})
}

func (s *Server) read(w http.ResponseWriter, path string) {
	all := s.kv[path]
	if len(all) == 0 {
		refuse(w, http.StatusNotFound)
		return
	}
	v := all[len(all)-1]
	meta := map[string]any{
		"created_time": v.created.Format(time.RFC3339Nano), "custom_metadata": nil,
		"deletion_time": "", "destroyed": false, "version": len(all),
	}
	if v.deleted {
		meta["deletion_time"] = time.Now().UTC().Format(time.RFC3339Nano)
		reply(w, http.StatusNotFound, map[string]any{"data": map[string]any{"data": nil, "metadata": meta}})
		return
	}
	reply(w, http.StatusOK, map[string]any{"data": map[string]any{"data": v.data, "metadata": meta}})
}

func (s *Server) crypt(w http.ResponseWriter, r *http.Request, verb, name string) {
	var in struct {
		Plaintext      []byte `json:"plaintext"`
		Ciphertext     string `json:"ciphertext"`
		AssociatedData []byte `json:"associated_data"`
	}
	key, ok := s.transit[name]
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || !ok {
		refuse(w, http.StatusBadRequest, "encryption key not found")
		return
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // 32 bytes are a key of AES-256
	}
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err)
	}
	switch verb {
	case "encrypt":
		sealed := gcm.Seal(nil, nil, in.Plaintext, in.AssociatedData)
		reply(w, http.StatusOK, map[string]any{"data": map[string]any{
			"ciphertext": "vault:v1:" + base64.StdEncoding.EncodeToString(sealed), "key_version": 1}})
	case "decrypt":
		raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(in.Ciphertext, "vault:v1:"))
		if err == nil {
			raw, err = gcm.Open(nil, nil, raw, in.AssociatedData)
		}
		if err != nil {
			refuse(w, http.StatusBadRequest, "cipher: message authentication failed")
			return
		}
		reply(w, http.StatusOK, map[string]any{"data": map[string]any{"plaintext": raw}})
	default:
		refuse(w, http.StatusForbidden, "permission denied")
	}
}

func refuse(w http.ResponseWriter, status int, errs ...string) {
	if errs == nil {
		errs = []string{}
	}
	reply(w, status, map[string]any{"errors": errs})
}

func reply(w http.ResponseWriter, status int, body map[string]any) {
	if _, failed := body["errors"]; !failed {
		for _, k := range []string{"request_id", "lease_id"} {
			body[k] = rand.Text()
		}
		body["wrap_info"], body["warnings"] = nil, nil
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client went away
}
