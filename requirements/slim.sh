#!/bin/sh
# Takes out of an environment what serves nobody at run time: TensorFlow's headers, a C parser that
# it depends on and never imports, symbols for debuggers, tests. Usage: slim.sh ENVIRONMENT
set -eu
packages=$(echo "$1"/lib/python3*/site-packages)
rm -rf "$packages"/tensorflow/include "$packages"/clang
for library in "$packages"/tensorflow/libtensorflow_*.so.2; do strip --strip-unneeded "$library"; done
for package in pandas sklearn scipy numpy pyarrow matplotlib; do
  find "$packages/$package" -type d -name tests -prune -exec rm -rf {} +
done
find "$packages" -name '*.a' -delete
