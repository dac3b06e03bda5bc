# Rekey. `make help` lists the targets.

GO      ?= go
PORT    ?= 7071
VERSION ?= $(shell git describe --always --dirty 2>/dev/null || echo devel)
LDFLAGS  = -s -w -X rekey/shared/app.Version=$(VERSION)
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
ROOT     = build/azure
# A template engine in gRPC's tracing would keep the linker from leaving out what is never called.
TAGS     = grpcnotrace
# Functions compiled into each place that calls them are a megabyte of pages, and 200 kB of the rest; Rekey waits for
# the network, not for calls.
GCFLAGS  = -gcflags 'maragu.dev/gomponents/...=-l' -gcflags 'rekey/...=-l'
FUNCTIONS = connections secretrotations audit login oauth console rotatedue health

.DEFAULT_GOAL := help

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
.PHONY: help

go: # the toolchain is the one thing that has to be there
	@$(GO) version 2>/dev/null | grep -Eq 'go(1\.(2[6-9]|[3-9][0-9])|[2-9]\.)' || \
		{ echo "Rekey needs Go 1.26 or later (https://go.dev/dl/); found: $$($(GO) version 2>&1)"; exit 1; }
.PHONY: go

stage: go ## build the app root that the Functions host runs, in build/azure
	@rm -rf $(ROOT) && mkdir -p $(ROOT) && cp host.json $(ROOT)/
	@for f in $(FUNCTIONS); do mkdir -p $(ROOT)/$$f && cp functions/$$f/function.json $(ROOT)/$$f/ || exit 1; done
	@echo "building the handler (the first time takes minutes and 6 GB of memory: see README)"
	CGO_ENABLED=0 $(GO) build -tags $(TAGS) $(GCFLAGS) -trimpath -buildvcs=false -ldflags '$(LDFLAGS)' -o $(ROOT)/handler ./functions/cmd/azure
.PHONY: stage

run: stage ## run everything on this machine against emulated services (PORT=7071)
	@$(GO) build -o build/local ./infra/local
	@exec ./build/local -port $(PORT)
.PHONY: run

func: stage azurite ## make run under Azure Functions Core Tools, or with the services of local.settings.json (PORT=7071)
	@command -v func >/dev/null || { echo "func is missing: install Azure Functions Core Tools v4, or use make run"; exit 1; }
	@$(GO) build -o build/local ./infra/local
	@exec ./build/local -func -root $(ROOT) -port $(PORT)
.PHONY: func

apikey: go ## make an API key: make apikey NAME=ci ROLE=rotate
	@$(GO) run ./infra/apikey -name '$(NAME)' -role '$(or $(ROLE),read)'
.PHONY: apikey

rebuild: go ## after the table was lost: show what Key Vault still knows (WRITE=yes writes it, CONNECTION=id, SETTINGS=file of the app's)
	@$(GO) run ./infra/rebuild $(if $(filter yes,$(WRITE)),-write) $(if $(CONNECTION),-connection '$(CONNECTION)') $(if $(SETTINGS),-settings '$(SETTINGS)')
.PHONY: rebuild

azurite: ## install Azurite and axe-core for the tests, where there is npm
	@if [ ! -d infra/local/node_modules/azurite ] || [ ! -d infra/local/node_modules/axe-core ]; then \
		command -v npm >/dev/null || { echo "npm is missing: tests against Azurite and those of accessibility will be skipped"; exit 0; }; \
		cd infra/local && npm ci --no-audit --no-fund --ignore-scripts; fi
.PHONY: azurite

test: go fmt ## everything from formatting to end to end
	@$(MAKE) --no-print-directory -j2 azurite checked
	@$(MAKE) --no-print-directory stage unit
	@for tools in $(OPTIONAL); do for tool in $$(echo $$tools | tr '/' ' '); do command -v $$tool >/dev/null && continue 2; done; \
		echo "skipped: the tests that need $${tools%%/*}, which is missing here (see README)"; done
	@echo "make test: ok"
.PHONY: test

fmt: # fails on what gofmt would change
	@out=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$out" || { echo "not gofmt'd:"; echo "$$out"; exit 1; }
.PHONY: fmt

vet: go # one build of msgraph-sdk-go at a time: it takes 4.4 GB
	$(GO) vet -tags consolecheck ./...
.PHONY: vet

staticcheck: go
	$(GO) run $(STATICCHECK) -tags consolecheck ./...
.PHONY: staticcheck

checked: # one after the other: each may have to build msgraph-sdk-go
	@$(MAKE) --no-print-directory vet
	@$(MAKE) --no-print-directory staticcheck
.PHONY: checked

# Every test runs at least once; vet has run before. Not under the race detector run programs, the console in its
# browser, and what drives them as processes of their own, since what may race in them is in packages that do, and to
# link the Graph SDK takes three times as long with it; nor the seeded simulation, the tenant that is made up, what
# rebuilds a table, and what wires adapters. A test of the other packages that asks (rotationtest.Sample, Raced,
# PlainOnly) does less or nothing with it, as do the suites of conformance; so these run once more without. Of functions
# the race detector sees what does several things at once, and all of it runs without.
PLAIN = functions/cmd functions/console functions/lifecycle infra shared/app shared/emulator/stack/faulttest \
	shared/emulator/tenant shared/rebuild shared/simulation
ASKING = (rotationtest[.](Sample|PlainOnly|Raced)|^	PlainOnly)
OPTIONAL = npm jq chromium/chromium-browser/google-chrome/google-chrome-stable/chrome
TEST = $(GO) test -vet=off -shuffle=on -count=1 -timeout=20m
empty =
alternatives = $(subst $(empty) $(empty),|,$(strip $(1)))

unit: unit-race # unit, simulation, contract and end-to-end tests
	@$(MAKE) --no-print-directory -j2 unit-plain unit-again
.PHONY: unit

# Many tests wait, for programs or for a second to be over, so that there is room for a third package. The longest
# package begins.
unit-race: go
	$(TEST) -race -p=3 ./shared/tablestore $$($(GO) list ./... | grep -vE '^rekey/($(call alternatives,$(PLAIN)))(/|$$)')
.PHONY: unit-race

unit-plain: go
	$(TEST) -p=2 $$($(GO) list ./... | grep -E '^rekey/($(call alternatives,$(PLAIN)))(/|$$)|^rekey/functions$$')
.PHONY: unit-plain

unit-again: go
	@tests=$$(find shared functions/*/ -name '*_test.go' | xargs awk '/^func / { split($$2, name, "(") } /$(ASKING)/ { print name[1] }' | sort -u); \
	packages=$$(grep -rlE --include='*.go' '$(ASKING)' shared functions/*/ | xargs -n1 dirname | sort -u); \
	$(TEST) -p=1 -run "^($$(echo $$tests | tr ' ' '|'))\$$|Conformance" ./shared/tablestore $$(printf './%s ' $$packages)
.PHONY: unit-again

faults: go ## break every write in turn, and count cases and requests
	@$(GO) test ./shared/connection ./functions/cmd/azure -run 'TestEveryWriteFails|TestCostOfATimerPass' -count=1 -v | \
		grep -E '^(ok|FAIL|--- FAIL)|external writes|cases in all|cost_test|FAIL:'
.PHONY: faults

simulation: go ## play random histories from a seed on: make simulation SEED=1 N=10000 (ALL=1 shrinks known ones too), or PLAN=file
	@$(GO) test ./shared/simulation -run '$(if $(PLAN),TestPlan,TestManyHistories)' -count=1 -v -timeout=24h -args \
		$(if $(PLAN),-plan '$(abspath $(PLAN))',-seed $(or $(SEED),1) -n $(or $(N),1000) $(if $(ALL),-all))
.PHONY: simulation

mutate: go ## apply small defects and see which tests notice (RUN=subject or name): half an hour
	@$(GO) run ./infra/mutate $(if $(RUN),-run '$(RUN)')
.PHONY: mutate

test-kill: azurite ## kill the real handler N times: make test-kill N=200
	$(GO) test ./functions/cmd/azure -run TestKill -count=1 -v -timeout=120m -kills $(or $(N),200)
.PHONY: test-kill

package: go ## make the zip files of both hosts, with checksums, in dist
	@rm -rf dist build/lambda
	@GOOS=linux GOARCH=amd64 $(MAKE) stage
	@for a in amd64 arm64; do CGO_ENABLED=0 GOOS=linux GOARCH=$$a $(GO) build -tags $(TAGS),lambda.norpc $(GCFLAGS) -trimpath -buildvcs=false \
		-ldflags '$(LDFLAGS)' -o build/lambda/$$a/bootstrap ./functions/cmd/lambda || exit 1; done
	@$(GO) run ./infra/pack
.PHONY: package

scan: go ## scan an emulated tenant of N applications and say what it takes: make scan N=10000
	$(GO) test ./infra/scan -vet=off -run TestScanOfATenant -count=1 -v -timeout=60m -applications $(or $(N),10000)
.PHONY: scan

bench: stage ## measure cold start, a rotation's overhead, the timer's requests, a page of a list, a thousand due at once
	$(GO) build -o build/bench ./infra/bench
	@./build/bench
.PHONY: bench

infra-check: go ## check infra/azure and infra/aws, with terraform or tofu where there is one
	$(GO) test -count=1 ./infra/check
	@./infra/check/terraform.sh
.PHONY: infra-check

openapi-check: go ## lint the API's description, and call every operation with clients generated from it, where there is npm
	@command -v npm >/dev/null || { echo "npm is missing: openapi-check is skipped"; exit 0; }; \
	(cd infra/openapi && npm ci --no-audit --no-fund --ignore-scripts) && \
	$(GO) test -vet=off -count=1 ./functions -run '^(TestLinted|TestGeneratedClients)$$' -generate
.PHONY: openapi-check

console-check: stage azurite ## go through the console in Chromium, all of it in every way, and keep pictures (RUN=TestActions/keyboard for a part)
	CI=true $(GO) test -tags consolecheck -vet=off -count=1 -timeout=60m ./infra/consolecheck $(if $(RUN),-v -run '$(RUN)')
.PHONY: console-check

picture: go ## take the picture of the README, of the demo that make run has up
	$(GO) run ./infra/picture
.PHONY: picture

clean: ## remove what was built
	rm -rf build dist .local
.PHONY: clean
