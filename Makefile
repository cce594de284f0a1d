# What a developer wants, in short words. `make help` lists it.

GO       ?= go
LINT      = $(GO) tool -modfile=.ci/lint/go.mod
FUZZTIME ?= 30s

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build ./oshirase
	$(GO) build -o oshirase ./cmd/oshirase

.PHONY: demo
demo: ## the whole story in ./oshirase-demo, without network
	$(GO) run ./cmd/oshirase demo

.PHONY: test
test: ## all tests
	$(GO) test ./...

.PHONY: race
race: ## all tests in random order, watched for data races
	GORACE=atexit_sleep_ms=0 $(GO) test -race -shuffle=on ./...

.PHONY: torture
torture: ## faults against real processes, the long form: some minutes, 20,000 recipients
	TORTURE=long $(GO) test ./torture -v -count=1 -timeout 60m

.PHONY: golden
golden: ## write all goldens and config/example.toml anew; read the diff before committing
	@for pkg in $$(grep -rl --include='*_test.go' 'flag.Bool("update"' . | xargs -n 1 dirname | sort -u); do \
		echo "$(GO) test $$pkg -update"; $(GO) test $$pkg -update || exit 1; done

.PHONY: fuzz
fuzz: ## each fuzz target for FUZZTIME (30s)
	@grep -ro --include='*_test.go' '^func Fuzz[A-Za-z0-9]*' . | while IFS=: read -r file func; do \
		echo "$${func#func } in $$(dirname "$$file")"; \
		$(GO) test "$$(dirname "$$file")" -run '^$$' -fuzz "^$${func#func }\$$" -fuzztime $(FUZZTIME) || exit 1; done

.PHONY: bench
bench: ## the program against the wire and sqlite3 (BENCH=full: large sizes)
	$(GO) run ./bench $(BENCHFLAGS)

.PHONY: gobench
gobench: ## the benchmarks of the packages
	$(GO) test -run '^$$' -bench . -benchmem ./...

.PHONY: fmt
fmt: ## format as gofumpt does
	$(LINT) gofumpt -w .

.PHONY: lint
lint: ## go vet, staticcheck, gofumpt
	$(GO) vet ./...
	$(LINT) staticcheck ./...
	@test -z "$$($(LINT) gofumpt -l .)" || { echo "not formatted (make fmt):"; $(LINT) gofumpt -l .; exit 1; }

.PHONY: ci
ci: ## what continuous integration runs
	.ci/run

.PHONY: clean
clean: ## remove what build made
	rm -f oshirase
