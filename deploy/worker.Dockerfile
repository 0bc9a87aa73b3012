# The worker, which trains and certifies, and the other commands, `tutelage status` and `report` among them. Torch's own
# CUDA libraries come from PyPI; the machine brings NVIDIA's driver and container toolkit.
#   docker build -f deploy/worker.Dockerfile -t tutelage-worker:0.1.0 .
FROM python:3.11.14-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/tutelage
WORKDIR /src
COPY deploy/worker.lock tutelage/locks/torch.txt ./
RUN /opt/tutelage/bin/pip install --no-cache-dir --constraint worker.lock -r torch.txt \
    && /opt/tutelage/bin/pip install --no-cache-dir --no-deps -r worker.lock
COPY pyproject.toml README.md ./
COPY router router
COPY calibration calibration
COPY distill distill
COPY ledger ledger
COPY tutelage tutelage
RUN /opt/tutelage/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.11.14-slim-bookworm
ENV PATH=/opt/tutelage/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    TUTELAGE_LOG_FORMAT=json \
    HF_HUB_OFFLINE=1 \
    HOME=/tmp
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin tutelage \
    && install -d -o tutelage -g tutelage /var/lib/tutelage/adapters
COPY --from=build /opt/tutelage /opt/tutelage
USER 10001:10001
WORKDIR /var/lib/tutelage
ENTRYPOINT ["tutelage"]
CMD ["distill", "watch", "--config", "/etc/tutelage/tutelage.yaml"]
