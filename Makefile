# Two commands suffice: `make run` and `make test`. `make help` lists the rest.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

BIN := .venv/bin
BUF := tools/node_modules/@bufbuild/buf-linux-x64/bin/buf
HELM := .tools/bin/helm
MINIO := .tools/bin/minio
KUBERNETES := $(shell sed -n 's|^.k8s.io/kubernetes v\([0-9.]*\).*|\1|p' tools/kubernetes/go.mod)
CONTROL_PLANE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/uniaudio-tools/kubernetes-$(KUBERNETES)
ASSETS := services/gateway/studio/vendor/VERSION
UV := $(shell uv --version >/dev/null 2>&1 && echo uv || echo .tools/uv/bin/uv)
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
EXTRAS := --extra tokenizer --extra llm --extra orchestrator --extra gateway --group dev
ALL_EXTRAS := $(EXTRAS) --extra training --extra evaluation --extra cluster --extra c2pa
PROTOC := $(BIN)/python -m grpc_tools.protoc -Iprotos --plugin=protoc-gen-mypy_grpc=$(BIN)/protoc-gen-mypy_grpc
CHART := deploy/helm/uniaudio
OUTPUT := --load # Docker keeps attestations only with containerd's image store
# Helm's own release build says in two packages which Kubernetes it was made for; so does ours.
HELM_KNOWS := $(foreach p,chartutil lint/rules,$(foreach v,Major=1 Minor=37,-X helm.sh/helm/v3/pkg/$(p).k8sVersion$(v)))
KUBERNETES_PARTS := $(subst ., ,$(KUBERNETES))
KUBERNETES_KNOWS := $(foreach v,gitVersion=v$(KUBERNETES) gitMajor=$(word 1,$(KUBERNETES_PARTS)) gitMinor=$(word 2,$(KUBERNETES_PARTS)),\
	-X k8s.io/component-base/version.$(v))
need = @command -v $(1) >/dev/null || { echo "$(1) is missing: $(2)" >&2; exit 1; }

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile

run: .venv/.synced $(ASSETS) ## install what is missing and start everything on this machine (ARGS="--help" for options)
	@exec $(BIN)/uniaudio up $(ARGS)

test: .venv/.synced-all $(ASSETS) $(if $(shell command -v go),$(HELM) $(MINIO)) ## install what is missing and run all tests (ARGS="tests/unit -k name" for some)
	$(BIN)/python -m pytest $(ARGS)

test-control-plane: .venv/.synced-all $(CONTROL_PLANE)/.built ## ask a real Kubernetes API (its first build takes about 6 min)
	$(BIN)/python -m pytest tests/cluster $(ARGS)

fuzz: .venv/.synced-all ## try 100 000 odd recordings, calls and generations each (UNIAUDIO_FUZZ_SEED=n repeats a run)
	UNIAUDIO_FUZZ_INPUTS=100000 $(BIN)/python -m pytest tests/fuzz $(ARGS)

test-faults: .venv/.synced-all $(if $(shell command -v go),$(MINIO)) ## kill, fill and take away everything around jobs; writes docs/faults.md (half an hour)
	$(BIN)/python -m tests.faults --write $(ARGS)

soak: .venv/.synced-all $(ASSETS) ## an hour of mixed load on the local stack, and whether anything grew (ARGS="--seconds 600")
	$(BIN)/python -m tests.soak $(ARGS)

nano: .venv/.synced-all ## train the model that ships, or go on where it stopped (ARGS="--short" shows that it works)
	$(call need,espeak-ng,install the voices of the synthetic corpus (Debian: apt-get install espeak-ng flite))
	$(call need,flite,install the voices of the synthetic corpus (Debian: apt-get install espeak-ng flite))
	$(BIN)/python -m training.train nano $(ARGS)

lint: .venv/.synced-all $(BUF) protos-check chart-lint ## style, types, import contracts, protos, chart
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BUF) lint protos && $(BUF) format protos --diff --exit-code
	$(BUF) breaking protos --against protos/baseline.binpb

check: lint test ## what CI runs

fmt: .venv/.synced-all $(BUF) ## format Python and protos
	$(BIN)/ruff check --fix . ; $(BIN)/ruff format .
	$(BUF) format protos --write

protos: .venv/.synced-all ## regenerate uniaudio/v1 from protos/
	$(PROTOC) --python_out=. --pyi_out=. --grpc_python_out=. --mypy_grpc_out=quiet:. protos/uniaudio/v1/*.proto

protos-check: .venv/.synced-all ## compare uniaudio/v1 with what protos/ would give
	@rm -rf .cache/protos && mkdir -p .cache/protos
	@$(PROTOC) --python_out=.cache/protos --pyi_out=.cache/protos --grpc_python_out=.cache/protos \
		--mypy_grpc_out=quiet:.cache/protos protos/uniaudio/v1/*.proto
	@diff -r -x __pycache__ -x __init__.py uniaudio/v1 .cache/protos/uniaudio/v1 \
		|| { echo "uniaudio/v1 is not what protos/ gives: run make protos" >&2; exit 1; }

protos-baseline: $(BUF) ## at a release: make the current protos what `buf breaking` compares with
	$(BUF) build protos --exclude-source-info -o protos/baseline.binpb

chart-lint: $(HELM) ## lint the chart and render it
	$(HELM) lint --strict $(CHART)
	$(HELM) template uniaudio $(CHART) >/dev/null

images: ## build one image per service and one for training, each with its SBOM (OUTPUT=--push REGISTRY=host/path/ sends them)
	$(call need,docker,install Docker with buildx (https://docs.docker.com/engine/install))
	for file in services/*/Dockerfile training/Dockerfile; do \
		docker buildx build --file $$file --tag $(REGISTRY)uniaudio/$$(basename $$(dirname $$file)):$(VERSION) \
			--build-arg VERSION=$(VERSION) --build-arg REVISION=$$(git rev-parse HEAD) --sbom=true --provenance=mode=max \
			$(OUTPUT) . ; done

clean: ## remove everything that was installed or generated here
	rm -rf .venv .tools .cache tools/node_modules services/gateway/studio/vendor .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

.venv/.synced: pyproject.toml uv.lock $(filter .tools/%,$(UV))
	$(UV) sync --locked --inexact $(EXTRAS)
	@touch $@

# Training and evaluation too; one of their packages is built from source.
.venv/.synced-all: pyproject.toml uv.lock $(filter .tools/%,$(UV))
	$(call need,cc,install a C compiler (Debian: apt-get install gcc python3-dev); it builds a package of the evaluation)
	$(UV) sync --locked $(ALL_EXTRAS)
	@touch $@ .venv/.synced

$(ASSETS): tools/fetch_assets.py | .venv/.synced
	$(BIN)/python $< && touch $@

.tools/uv/bin/uv:
	$(call need,python3,install Python 3.11 with venv (Debian: apt-get install python3 python3-venv))
	python3 -m venv .tools/uv && .tools/uv/bin/pip install --quiet uv==0.13.9

$(BUF): tools/package-lock.json
	$(call need,npm,install Node.js 18 or newer with npm (Debian: apt-get install npm); it brings buf to check the protos)
	npm ci --prefix tools --ignore-scripts --no-audit --no-fund && touch $@

$(HELM): tools/go.mod tools/go.sum
	$(call need,go,install Go 1.26 or newer (https://go.dev/dl); it builds helm to check the chart)
	@echo "building helm, about a minute the first time"
	CGO_ENABLED=0 go build -C tools -trimpath -ldflags "-s -w $(HELM_KNOWS)" -o ../$(HELM) helm.sh/helm/v3/cmd/helm && touch $@

$(MINIO): tools/minio/go.mod tools/minio/go.sum
	$(call need,go,install Go 1.26 or newer (https://go.dev/dl); it builds the MinIO server of the tests)
	@echo "building the MinIO server of the tests, 2 to 5 minutes the first time"
	CGO_ENABLED=0 go build -C tools/minio -trimpath -ldflags "-s -w" -o ../../$(MINIO) github.com/minio/minio && touch $@

control-plane: $(CONTROL_PLANE)/.built ## build the Kubernetes control plane of the tests into the user's cache

# Outside the clone, as it takes minutes: `make clean` spares it.
$(CONTROL_PLANE)/.built: tools/kubernetes/go.mod tools/kubernetes/go.sum
	$(call need,go,install Go 1.26 or newer (https://go.dev/dl); it builds the control plane of the tests)
	@echo "building the Kubernetes control plane, about 6 minutes the first time"
	mkdir -p $(@D)
	CGO_ENABLED=0 go build -C tools/kubernetes -trimpath -ldflags "-s -w $(KUBERNETES_KNOWS)" -o $(@D)/ \
		k8s.io/kubernetes/cmd/kube-apiserver k8s.io/kubernetes/cmd/kube-controller-manager go.etcd.io/etcd/server/v3
	mv $(@D)/server $(@D)/etcd && touch $@

.PHONY: help run test test-control-plane control-plane fuzz test-faults soak nano lint check fmt protos protos-check protos-baseline chart-lint images clean
