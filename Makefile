# make run    build everything and start the demo
# make test   every test
# make check  format, vet, staticcheck, tests with the race detector, short fuzz, tidy, no diff
# make bench  the profile route against its alternatives; writes bin/bench.json

GO      ?= go
PLUGINS := $(notdir $(patsubst %/,%,$(wildcard plugins/*/)))
FUZZ    ?= 5s

export GOFLAGS += -trimpath

.PHONY: build plugins run test check bench fuzz clean

build: bin/pointsman plugins

# Always rebuilt: the Go tool knows better than make what has changed.
.PHONY: bin/pointsman
bin/pointsman:
	CGO_ENABLED=0 $(GO) build -o bin/pointsman ./cmd/pointsman
	CGO_ENABLED=0 $(GO) build -o bin/backends ./cmd/backends

# Every folder below plugins/ is built; there is no list to edit.
plugins: bin/pointsman
	@for p in $(PLUGINS); do \
		bin/pointsman plugin build plugins/$$p --output bin/plugins/$$p.wasm || exit 1; done

run: build
	bin/pointsman demo

# The tests of whole processes come last and alone: what they measure of a broker under attack
# is not to be what other tests take from it.
WHOLE := pointsman/cmd/pointsman
test: build
	CGO_ENABLED=0 $(GO) test -timeout 12m $$($(GO) list ./... | grep -vx $(WHOLE))
	CGO_ENABLED=0 $(GO) test -timeout 12m $(WHOLE)

# The tests of whole processes (cmd/pointsman, cmd/bench) run without the race detector, in
# make test: with it, compiling guests takes minutes. What they run is raced in its packages.
check: build
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "gofmt:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	$(GO) test -race -short -timeout 12m $$($(GO) list ./... | grep -vE '^pointsman/cmd/(pointsman|bench)$$')
	$(MAKE) fuzz
	$(GO) mod tidy
	git diff --exit-code

# Each fuzz target for a moment: go test runs one at a time. When its time ends within a slow
# run, go test calls that a failure ("context deadline exceeded", without a failing input): again.
fuzz:
	@for pkg in $$(grep -rl --include=*_test.go '^func Fuzz' host pdk cmd plugins | xargs -n1 dirname | sort -u); do \
		for f in $$(grep -rhoE '^func Fuzz[A-Za-z0-9_]*' $$pkg/*_test.go | sed 's/func //' | sort -u); do \
			echo "fuzz $$pkg $$f"; \
			for try in 1 2 3 4; do \
				out=$$($(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZ) -fuzzminimizetime 5x ./$$pkg 2>&1) && break; \
				case "$$out" in *"Failing input"*) ;; *"context deadline exceeded"*) [ $$try -lt 4 ] && continue ;; esac; \
				echo "$$out"; exit 1; \
			done; \
		done; \
	done

bench: build
	$(GO) run ./cmd/bench -out bin/bench.json

clean:
	rm -rf bin
