# Two commands suffice: `make run` and `make test`. `make help` lists the rest.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

BIN := .venv/bin
BUF := tools/node_modules/@bufbuild/buf-linux-x64/bin/buf
HELM := .tools/bin/helm
MINIO := .tools/bin/minio
# Folders of tools/ whose programs take minutes to build, and the module that each is made for.
CLUSTER_TOOLS := kubernetes containerd coredns kwok keda leaderworkerset
IMAGE_TOOLS := buildkit syft
MODULE_buildkit := github.com/moby/buildkit
MODULE_syft := github.com/anchore/syft
MODULE_kubernetes := k8s.io/kubernetes
MODULE_containerd := github.com/containerd/containerd/v2
MODULE_coredns := github.com/coredns/coredns
MODULE_kwok := sigs.k8s.io/kwok
MODULE_keda := github.com/kedacore/keda/v2
MODULE_leaderworkerset := sigs.k8s.io/lws
version_of = $(shell sed -n 's|^[[:space:]]*$(MODULE_$(1)) v\([^ ]*\).*|\1|p' tools/$(1)/go.mod | head -1)
cached = $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/uniaudio-tools/$(1)-$(call version_of,$(1))
PROBE := .tools/bin/probe
IMAGES := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/uniaudio-tools/images
ARCHIVES := $(foreach file,$(wildcard services/*/Dockerfile training/Dockerfile),$(IMAGES)/$(notdir $(patsubst %/,%,$(dir $(file)))).tar)
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
KUBERNETES := $(call version_of,kubernetes)
KUBERNETES_PARTS := $(subst ., ,$(KUBERNETES))
MANIFESTS_kwok := kustomize/stage
MANIFESTS_keda := config
MANIFESTS_leaderworkerset := config
KNOWS_kubernetes := $(foreach v,gitVersion=v$(KUBERNETES) gitMajor=$(word 1,$(KUBERNETES_PARTS)) gitMinor=$(word 2,$(KUBERNETES_PARTS)),\
	-X k8s.io/component-base/version.$(v))
need = @command -v $(1) >/dev/null || { echo "$(1) is missing: $(2)" >&2; exit 1; }

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile

run: .venv/.synced $(ASSETS) ## install what is missing and start everything on this machine (ARGS="--help" for options)
	@exec $(BIN)/uniaudio up $(ARGS)

test: .venv/.synced-all $(ASSETS) $(if $(shell command -v go),$(HELM) $(MINIO)) ## install what is missing and run all tests (ARGS="tests/unit -k name" for some)
	$(BIN)/python -m pytest $(ARGS)

test-control-plane: .venv/.synced-all control-plane ## ask a real Kubernetes API (its first build takes about 7 min)
	$(BIN)/python -m pytest tests/cluster $(ARGS)

test-cluster: .venv/.synced-all $(HELM) $(if $(KUBECONFIG),,cluster-tools $(ARCHIVES)) ## run real pods on KUBECONFIG's cluster, or as root on one of this machine's own
	$(BIN)/python -m pytest tests/pods -o log_cli=true -o log_cli_level=INFO $(ARGS)

cluster: .venv/.synced-all cluster-tools ## hold up a cluster of this machine's own, as root, and tell its kubeconfig
	@$(BIN)/python -m tests.machine

fuzz: .venv/.synced-all ## try 100 000 odd recordings, calls and generations each (UNIAUDIO_FUZZ_SEED=n repeats a run)
	UNIAUDIO_FUZZ_INPUTS=100000 $(BIN)/python -m pytest tests/fuzz $(ARGS)

test-faults: .venv/.synced-all $(if $(shell command -v go),$(MINIO)) ## kill, fill and take away everything around jobs; writes docs/faults.md (half an hour)
	$(BIN)/python -m tests.faults --write $(ARGS)

soak: .venv/.synced-all $(ASSETS) ## an hour of mixed load on the local stack, and whether anything grew; writes docs/soak.md (ARGS="--seconds 600")
	$(BIN)/python -m tests.soak --write $(ARGS)

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

images: ## build one image per service and one for training, each with its SBOM: by Docker (OUTPUT=--push REGISTRY=host/path/ sends them), or without
	@if docker info >/dev/null 2>&1 && docker buildx version >/dev/null 2>&1; \
		then $(MAKE) --no-print-directory docker-images; \
		else $(MAKE) --no-print-directory .venv/.synced image-tools && $(BIN)/python -m tools.images $(ARGS); fi

# For `make test-cluster`, which takes them as they are: after a change, `python -m tools.images`.
$(ARCHIVES) &: | .venv/.synced image-tools
	$(BIN)/python -m tools.images

docker-images:
	for file in services/*/Dockerfile training/Dockerfile; do \
		docker buildx build --file $$file --tag $(REGISTRY)uniaudio/$$(basename $$(dirname $$file)):$(VERSION) \
			--build-arg VERSION=$(VERSION) --build-arg REVISION=$$(git rev-parse HEAD) --sbom=true --provenance=mode=max \
			$(OUTPUT) $(ARGS) . ; done
	docker image ls --filter reference='$(REGISTRY)uniaudio/*:$(VERSION)'

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

control-plane: $(call cached,kubernetes)/.built ## build Kubernetes for the tests into the user's cache

cluster-tools: $(foreach tool,$(CLUSTER_TOOLS),$(call cached,$(tool))/.built) $(PROBE) $(MINIO) ## build all that a whole cluster needs (15 min the first time)

image-tools: $(foreach tool,$(IMAGE_TOOLS),$(call cached,$(tool))/.built) ## build what builds images without Docker, and looks into them (5 min the first time)

# Outside the clone, as it takes minutes: `make clean` spares it. Manifests that a module installs itself by lie beside.
define cluster_tool
$(call cached,$(1))/.built: tools/$(1)/go.mod tools/$(1)/go.sum
	$$(call need,go,install Go 1.26 or newer (https://go.dev/dl); it builds $(1))
	@echo "building $(1), minutes the first time"
	mkdir -p $$(@D)
	CGO_ENABLED=0 go build -C tools/$(1) -trimpath -ldflags "-s -w $(KNOWS_$(1))" -o $$(@D)/ tool
	$(if $(MANIFESTS_$(1)),rm -rf $$(@D)/$(notdir $(MANIFESTS_$(1))))
	$(if $(MANIFESTS_$(1)),cp -r --no-preserve=mode "$$$$(go list -C tools/$(1) -m -f '{{.Dir}}' $(MODULE_$(1)))/$(MANIFESTS_$(1))" $$(@D)/)
	$(if $(filter kubernetes,$(1)),mv $$(@D)/server $$(@D)/etcd)
	touch $$@
endef
$(foreach tool,$(CLUSTER_TOOLS) $(IMAGE_TOOLS),$(eval $(call cluster_tool,$(tool))))

$(PROBE): tests/machine/probe/main.go tests/machine/probe/go.mod
	$(call need,go,install Go 1.26 or newer (https://go.dev/dl); it builds what pods of the tests run)
	CGO_ENABLED=0 go build -C $(<D) -trimpath -ldflags "-s -w" -o $(CURDIR)/$@ . && touch $@

.PHONY: help run test test-control-plane test-cluster cluster cluster-tools control-plane fuzz test-faults soak nano lint check fmt protos protos-check protos-baseline chart-lint images clean
