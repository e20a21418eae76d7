#!/bin/sh
# Moves a module with the kubelet's own code to a release of Kubernetes:
#
#     kubernetes.sh v1.37.2 latest
#
# Kubernetes' go.mod points at directories of its own repository for the modules that it publishes apart; who requires it from
# outside has to say for each of them which version that is. Those lines are written anew here, and go.sum with them. What may
# be left then is an argument that the kubelet's constructors took on since.
set -eu

version=${1:?which release, such as v1.37.2} module=${2:?which module: latest or oldest}
published=v0.${version#v1.}

cd "$(dirname "$0")/$module"
kubernetes=$(cd / && go mod download -json "k8s.io/kubernetes@$version" | sed -n 's/^\t"GoMod": "\(.*\)",$/\1/p')
[ -f "$kubernetes" ] || { echo "Kubernetes $version cannot be downloaded" >&2; exit 1; }
{
    cat <<END
module github.com/crigc/crigc/go/comparison/$module

go 1.26.0

require (
	github.com/crigc/crigc/go/comparison v0.0.0
	k8s.io/kubernetes $version
)

replace (
	github.com/crigc/crigc/go => ../..
	github.com/crigc/crigc/go/comparison => ../
)

replace (
END
    sed -n "s|^\t\(k8s.io/[^ ]*\) => ./staging/.*|\t\1 => \1 $published|p" "$kubernetes"
    echo ')'
} >go.mod
sed -i "s|^\(const Version = \).*|\1\"$version\"|" collector.go
go mod tidy
