#!/usr/bin/env bash
# Writes ../echarts.min.js and ../echarts.LICENSE.txt from the npm packages that
# package-lock.json pins. Needs node and npm; the result is committed, so nobody else does.
set -euo pipefail
cd "$(dirname "$0")"
npm ci --no-audit --no-fund --silent
npx esbuild entry.mjs --bundle --minify --format=iife --global-name=echarts --target=es2020 \
  --charset=ascii --legal-comments=none --define:process.env.NODE_ENV='"production"' \
  --outfile=../echarts.min.js
modules=node_modules
{
  cat "$modules/echarts/NOTICE"
  for file in echarts/LICENSE echarts/licenses/LICENSE-d3 zrender/LICENSE tslib/LICENSE.txt; do
    printf '\n\n--- %s ---\n\n' "$file"
    cat "$modules/$file"
  done
} > ../echarts.LICENSE.txt
rm -rf node_modules
