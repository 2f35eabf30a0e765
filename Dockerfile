# One image for the gateway, the wall page, simulated boards and the stack's one-shot services: see compose.yaml.
# Tags are exact; their digests could not be read where this was written: pin them where you build.

FROM python:3.11.13-slim-bookworm AS build
WORKDIR /source
COPY requirements.lock ./
RUN python -m venv /opt/chairside \
 && /opt/chairside/bin/pip install --no-cache-dir --no-deps --require-hashes -r requirements.lock
COPY . ./
RUN /opt/chairside/bin/pip install --no-cache-dir --no-deps --no-build-isolation . \
 && /opt/chairside/bin/pip uninstall --yes hatchling editables trove-classifiers setuptools pip

FROM python:3.11.13-slim-bookworm
LABEL org.opencontainers.image.title="Chairside" \
      org.opencontainers.image.description="Watches patients in recovery chairs. Not a certified medical device." \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN python -m pip uninstall --yes wheel setuptools pip \
 && useradd --uid 10001 --no-create-home --home-dir /var/lib/chairside --shell /usr/sbin/nologin chairside \
 && install --directory --owner chairside --group chairside --mode 700 /var/lib/chairside
COPY --from=build /opt/chairside /opt/chairside
ENV PATH=/opt/chairside/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /var/lib/chairside
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=15s --start-period=60s \
  CMD ["python", "-m", "gateway.container.health", "--config", "/etc/chairside/gateway.toml"]
CMD ["python", "-m", "gateway.container.watched", "chairside", "gateway", "--config", "/etc/chairside/gateway.toml"]
