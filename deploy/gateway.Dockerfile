# Gateway, teacher server, ingester, loader and console: what serves, without what trains. Built from the repository's root:
#   docker build -f deploy/gateway.Dockerfile -t tutelage-gateway:0.1.0 .
FROM python:3.11.14-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/tutelage
WORKDIR /src
COPY deploy/gateway.lock ./
RUN /opt/tutelage/bin/pip install --no-cache-dir --no-deps -r gateway.lock
COPY pyproject.toml README.md ./
COPY router router
COPY calibration calibration
COPY distill distill
COPY ledger ledger
COPY tutelage tutelage
RUN /opt/tutelage/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.11.14-slim-bookworm
# LiteLLM asks for its newest price list otherwise; the one in the image is that of its version.
ENV PATH=/opt/tutelage/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    TUTELAGE_LOG_FORMAT=json \
    LITELLM_LOCAL_MODEL_COST_MAP=True \
    HOME=/tmp
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin tutelage \
    && install -d -o tutelage -g tutelage /var/lib/tutelage/spool /var/lib/tutelage/adapters
COPY --from=build /opt/tutelage /opt/tutelage
USER 10001:10001
WORKDIR /var/lib/tutelage
ENTRYPOINT ["tutelage"]
CMD ["serve", "gateway", "--config", "/etc/tutelage/tutelage.yaml"]
