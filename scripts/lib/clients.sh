# Sourced from the project's root: the clients whose lines the README shows, R with httr2 and Python
# with requests, NVIDIA's for the Open Inference Protocol, and what models are trained by that
# scripts/export.py sends. Where they can't be installed their tests are skipped, and say so.
packages='requests==2.32.5 tritonclient[http]==2.73.0'
# In a place of their own: they are half a gigabyte. xgboost itself would bring CUDA's libraries along.
model_packages='lightgbm==4.7.0 numpy==2.4.6 pandas==3.1.1 pyarrow==26.0.1 requests==2.32.5 scikit-learn==1.9.1 skl2onnx==1.20.0 xgboost-cpu==3.2.0'

apt_install() {
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
  apt-get update -qq >&2 &&
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2
}

if ! Rscript -e 'library(httr2); library(jsonlite)' >/dev/null 2>&1; then
  echo "Installing R with httr2 and jsonlite" >&2
  apt_install r-base-core r-cran-httr2 r-cran-jsonlite || echo "Please install R with httr2: its tests are skipped." >&2
fi

# Usage: python_packages FOLDER PACKAGE…
python_packages() {
  folder=$1
  shift
  [ "$(cat "$folder/.installed" 2>/dev/null)" = "$*" ] && return
  echo "Installing $* into $folder/" >&2
  { python3 -m venv "$folder" || { apt_install python3-venv && python3 -m venv "$folder"; }; } &&
    "$folder/bin/pip" install --quiet "$@" >&2 && echo "$*" > "$folder/.installed" ||
    echo "Please install Python 3 with venv: its tests are skipped." >&2
}
# Not quoted, since they are lists of words.
python_packages .tools/python $packages
python_packages .tools/python-models $model_packages
PATH="$PWD/.tools/python/bin:$PATH"
export PATH
