# The service of the app. Build it from the root of the repository: docker build -f docker/service.Dockerfile .
# The networks are not in the image: they are mounted at /app/out.
FROM python:3.11.15-slim-trixie@sha256:db3ff2e1800a8581e2c48a27c3995339d47bdf046da21c7627accd3d51053a93 AS packages
COPY requirements.txt requirements-app.txt /build/
RUN python -m venv /venv
ENV PATH=/venv/bin:$PATH
RUN pip install --no-cache-dir -r /build/requirements.txt -r /build/requirements-app.txt

FROM python:3.11.15-slim-trixie@sha256:db3ff2e1800a8581e2c48a27c3995339d47bdf046da21c7627accd3d51053a93
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin skylight
COPY --from=packages /venv /venv
WORKDIR /app
COPY params.yaml ./
COPY docs/service.md docs/
COPY skylight skylight
COPY apps apps
# The root is read-only when it runs, so nothing is compiled or kept.
ENV PATH=/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/tmp MPLCONFIGDIR=/tmp \
    TF_CPP_MIN_LOG_LEVEL=2
USER 10001
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/health', timeout=4)"]
CMD ["python", "-m", "apps.service", "--host", "0.0.0.0", "--port", "8080"]
