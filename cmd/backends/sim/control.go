package sim

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
)

// maxControlBody is the most bytes a control request may have: hundreds of faults.
const maxControlBody = 64 << 10

// Control returns the remote control of the servers, to be served on a listener of its own: it has no access control,
// and shows the credentials that requests carried. The paths, with NAME as told by Server.Name:
//
//	GET    /                names of the servers
//	GET    /NAME/faults     the faults still to come, as a JSON list of Fault
//	PUT    /NAME/faults     replaces them; 204, or 400 with a sentence and nothing changed
//	DELETE /NAME/faults     clears them; 204
//	GET    /NAME/requests   what was received, as a JSON list of Recorded
//	DELETE /NAME/requests   forgets it; 204
func Control(servers ...*Server) http.Handler {
	mux := http.NewServeMux()
	byName := make(map[string]*Server)
	names := []string{}
	for _, s := range servers {
		byName[s.name] = s
		names = append(names, s.name)
	}
	on := func(pattern string, handle func(*Server, http.ResponseWriter, *http.Request)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			s, ok := byName[r.PathValue("name")]
			if !ok {
				http.Error(w, "no such server", http.StatusNotFound)
				return
			}
			handle(s, w, r)
		})
	}
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, names) })
	on("GET /{name}/faults", func(s *Server, w http.ResponseWriter, _ *http.Request) {
		faults := s.faults.List()
		if faults == nil {
			faults = []Fault{}
		}
		writeJSON(w, faults)
	})
	on("PUT /{name}/faults", func(s *Server, w http.ResponseWriter, r *http.Request) {
		faults, err := readFaults(http.MaxBytesReader(w, r.Body, maxControlBody))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.faults.Set(faults...)
		w.WriteHeader(http.StatusNoContent)
	})
	on("DELETE /{name}/faults", func(s *Server, w http.ResponseWriter, _ *http.Request) {
		s.faults.Clear()
		w.WriteHeader(http.StatusNoContent)
	})
	on("GET /{name}/requests", func(s *Server, w http.ResponseWriter, _ *http.Request) {
		requests := s.Requests()
		if requests == nil {
			requests = []Recorded{}
		}
		writeJSON(w, requests)
	})
	on("DELETE /{name}/requests", func(s *Server, w http.ResponseWriter, _ *http.Request) {
		s.log.clear()
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}

// readFaults decodes a list of faults or a single one, and checks them.
func readFaults(r io.Reader) ([]Fault, error) {
	body, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	body = bytes.TrimSpace(body)
	if bytes.HasPrefix(body, []byte("{")) {
		body = append(append([]byte{'['}, body...), ']')
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	var faults []Fault
	if err := decoder.Decode(&faults); err != nil {
		return nil, err
	}
	if decoder.More() {
		return nil, errors.New("one list of faults is wanted")
	}
	for _, f := range faults {
		if err := f.Validate(); err != nil {
			return nil, err
		}
	}
	return faults, nil
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}
