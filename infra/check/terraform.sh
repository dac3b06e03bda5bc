#!/usr/bin/env bash
# Runs what terraform or tofu itself knows of infra/azure: formatting, validation
# against the provider, and the tests with a provider that is made up. The last two
# need the provider; where it can't be had they are skipped, in words, and with
# INFRA_CHECK_STRICT=1 (CI) a skip fails.
set -euo pipefail
cd "$(dirname "$0")/../.."

skip() {
  echo "infra-check: SKIPPED $1" >&2
  if [ "${INFRA_CHECK_STRICT:-}" = 1 ]; then
    echo "infra-check: INFRA_CHECK_STRICT is set, so that is a failure" >&2
    exit 1
  fi
}

if command -v cfn-lint >/dev/null; then
  cfn-lint infra/aws/template.yaml
  echo "infra-check: cfn-lint infra/aws: ok"
else
  skip "cfn-lint of infra/aws: it is not on PATH"
fi

tf=${TF:-$(command -v terraform || command -v tofu || true)}
if [ -z "$tf" ]; then
  skip "fmt, validate and test of infra/azure: neither terraform nor tofu is on PATH"
  exit
fi
"$tf" fmt -check -diff -recursive infra/azure
echo "infra-check: $(basename "$tf") fmt: ok"

# In a copy: nothing is left in the tree, and no state of yours is looked at.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# What variables take and refuse needs no provider.
mkdir -p "$work/variables/tests"
cp infra/azure/variables.tf "$work/variables"
awk '/^mock_provider/ { left_out = 1 } !left_out; /^}/ { left_out = 0 }' infra/azure/tests/variables.tftest.hcl \
  >"$work/variables/tests/variables.tftest.hcl"
"$tf" -chdir="$work/variables" init -backend=false -input=false -no-color >/dev/null
"$tf" -chdir="$work/variables" test -no-color
echo "infra-check: $(basename "$tf") test of the variables: ok"

mkdir "$work/tests"
cp infra/azure/*.tf "$work"
cp infra/azure/tests/*.tftest.hcl "$work/tests"
if ! "$tf" -chdir="$work" init -backend=false -input=false -no-color ${TF_PLUGIN_DIR:+-plugin-dir="$TF_PLUGIN_DIR"} >"$work/init.log" 2>&1; then
  if grep -Eq 'query available provider|resolve provider|install provider' "$work/init.log"; then
    skip "validate and test of infra/azure: the provider azurerm can't be installed here"
    exit
  fi
  cat "$work/init.log" >&2
  exit 1
fi
"$tf" -chdir="$work" validate -no-color
"$tf" -chdir="$work" test -no-color
echo "infra-check: $(basename "$tf") validate and test: ok"
