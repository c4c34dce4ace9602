#!/bin/sh
# Takes out of an environment what serves nobody at run time: headers, static libraries, the
# packages' own tests, bytecode that is not needed. Usage: slim.sh ENVIRONMENT
set -eu
packages=$(echo "$1"/lib/python3*/site-packages)
rm -rf "$packages"/tensorflow/include
find "$packages" -type d \( -name tests -o -name test \) -path '*/site-packages/*/tests*' \
  \( -path '*/pandas/*' -o -path '*/sklearn/*' -o -path '*/scipy/*' -o -path '*/numpy/*' \
     -o -path '*/pyarrow/*' -o -path '*/matplotlib/*' \) -prune -exec rm -rf {} +
find "$packages" -name '*.a' -delete
