#!/bin/sh
# Looks after what the project is made of: weaknesses that are known, licences, secrets in its files.
# Usage, from the top of the repository: sh requirements/audit.sh; `make audit` makes .tools first.
set -eu
tools=.tools/bin
failed=0

# pip-audit says "no known vulnerabilities" of packages that its index knows nothing of.
for lock in run image; do
  found=0
  said=$($tools/pip-audit --disable-pip --require-hashes -r requirements/$lock.lock \
    --progress-spinner off --timeout 10 2>&1) || found=$?
  case $said in
  *Found*known\ vulnerabilit*)
    echo "$said" >&2
    failed=1
    ;;
  *)
    if [ "$found" != 0 ] || echo "$said" | grep -q "could not be audited"; then
      echo "skipped: no advisories can be had for requirements/$lock.lock, so nobody knows its weaknesses" >&2
    else
      echo "no known weaknesses: requirements/$lock.lock"
    fi
    ;;
  esac
done

# Those of the environment are more than those of the pipeline, so a package that is only for tests
# is judged by its licence, too.
allowed=$(grep -v '^#' requirements/licences.txt | tr '\n' ';')
$tools/pip-licenses --python .venv/bin/python --partial-match --allow-only "$allowed" \
  --ignore-packages $(sed -n 's/^## \([^ ]*\) .*/\1/p' requirements/licences.txt) >/dev/null || failed=1
[ "$failed" = 1 ] || echo "all licences are among those of requirements/licences.txt"

# What looks like a secret and is none is known by its digest in .secrets.baseline, wherever its line is now.
# After a look at each: .tools/bin/detect-secrets scan --exclude-files '^\.secrets' > .secrets.baseline
$tools/detect-secrets scan --exclude-files '^\.secrets\.baseline$' | $tools/python -c '
import json, pathlib, sys
def listed(found):
    return {(file, one["type"], one["hashed_secret"]): one for file, all in found["results"].items() for one in all}
known = listed(json.loads(pathlib.Path(".secrets.baseline").read_text()))
new = {key: one for key, one in listed(json.load(sys.stdin)).items() if key not in known}
for (file, kind, _), one in new.items():
    print(file, "line", one["line_number"], "looks like a secret:", kind, file=sys.stderr)
sys.exit(bool(new))' || failed=1
[ "$failed" = 1 ] || echo "no secrets in what git tracks"
exit $failed
