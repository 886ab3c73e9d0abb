#!/usr/bin/env bash
# Builds isobench's images by buildah, podman or docker: build_images.sh [operator|worker|environment|agent]...
# Settings: BUILDER (the program, with options of its own), BUILD_OPTIONS, REGISTRY (a prefix), TAG (dev), BASE (the
# base image, best with its digest).
set -euo pipefail
cd "$(dirname "$0")/.."
TAG=${TAG:-dev}
BASE=${BASE:-docker.io/library/debian:trixie-slim}
PREFIX=${REGISTRY:+$REGISTRY/}
for found in buildah podman docker; do
    if [ -z "${BUILDER:-}" ] && command -v "$found" >/dev/null; then BUILDER=$found; fi
done
if [ -z "${BUILDER:-}" ]; then
    echo "no builder of images is here: install buildah, podman or docker" >&2
    exit 1
fi
case $BUILDER in
    buildah*) build="$BUILDER build --layers --isolation=chroot --format=docker" ;;
    *) build="$BUILDER build" ;;
esac
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
for image in "${@:-operator worker environment agent}"; do
    for name in $image; do
        case $name in
            operator | worker) file="--file=Dockerfile --target=$name" ;;
            environment) file=--file=images/environment/Dockerfile ;;
            agent) file="--file=images/agent/Dockerfile --build-arg=ENVIRONMENT=${PREFIX}isobench-environment:$TAG" ;;
            *) echo "there is no image $name: choose from operator, worker, environment, agent" >&2 && exit 2 ;;
        esac
        # shellcheck disable=SC2086
        $build ${BUILD_OPTIONS:-} --quiet $file "--build-arg=BASE=$BASE" "--build-arg=REVISION=$revision" \
            "--tag=${PREFIX}isobench-$name:$TAG" .
    done
done
