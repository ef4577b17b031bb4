# Every build uses the same flags: other flags would compile Pulumi and its Cloudflare SDK all over again.
export GOFLAGS := -trimpath -buildvcs=false
export CGO_ENABLED := 0
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION)
GOLANGCI := .cache/golangci-lint/bin/golangci-lint
.DEFAULT_GOAL := help
.PHONY: exact help setup build chromium cogctl up down test test-go test-workers check verify bench fuzz fmt lint clean

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

cogctl: # the command line itself, which does the rest of the set-up
	@go build -ldflags '$(LDFLAGS)' -o bin/ ./cmd/cogctl

setup: cogctl ## Install and build everything: npm packages, Pulumi (minutes, once), plugins
	@bin/cogctl setup

build: setup ## The same as setup

up: cogctl ## Bring the platform up on this machine and prove it
	@bin/cogctl setup --quiet
	@bin/cogctl up

down: cogctl ## Stop everything; the account's data stays in .local/
	@bin/cogctl down

test: setup verify chromium test-workers test-go ## Every test: contract, Workers in workerd, Go against the real engine

ARTIFACTS ?=
test-go: # needs setup; ARTIFACTS=<folder> keeps what tests leave to look at, such as screenshots
	go test -timeout 30m $(if $(ARTIFACTS),-artifacts -outputdir $(abspath $(ARTIFACTS)),) ./...

chromium: # the browser that the report's page is looked at with
	@.ci/chromium

test-workers: # needs setup
	cd workers && npm run --silent typecheck && npm test --silent

verify: ## Fail when a generated file is stale
	go run ./contract/gen -verify

generate: ## Write the generated files again
	go run ./contract/gen

check: ## List what has grown long
	@go run ./.ci/check

bench: setup ## Measure against the named baselines; prints ratios
	go run ./bench

EXACT_EVENTS ?= 1000000
exact: setup ## Send EXACT_EVENTS events, kill -9 everything on the way, and hold the ledger to each of them (100,000 in make test)
	COGNOMEGA_EXACT_EVENTS=$(EXACT_EVENTS) go test ./bench/exact -v -count 1 -timeout 3h

FUZZTIME ?= 20s
fuzz: ## Fuzz every parser for FUZZTIME each
	@.ci/fuzz $(FUZZTIME)

fmt: ## Format Go and TypeScript
	gofmt -w $$(git ls-files '*.go')
	cd workers && npm run --silent fmt

# A cache of this checkout's own: golangci-lint keeps findings with the path they were found at, so that a
# second checkout sharing the cache would be told of files, and miss nolint comments, of the first one.
lint: $(GOLANGCI) ## Run the linters
	GOLANGCI_LINT_CACHE=$(CURDIR)/.cache/golangci-lint/results $(GOLANGCI) run ./...
	cd workers && npm run --silent lint

$(GOLANGCI): .ci/lint/go.mod
	go build -C .ci/lint -o $(CURDIR)/$(GOLANGCI) github.com/golangci/golangci-lint/v2/cmd/golangci-lint

clean: down ## Remove what was built; keeps .local/ and the caches of Go and npm
	rm -rf bin .cache workers/node_modules
