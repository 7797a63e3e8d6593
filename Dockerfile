# The program dcgan on CPUs. Data sets, cache and runs lie in /data:
#   docker build -t dcgan .
#   docker run -it --rm -v "$PWD:/data" dcgan --dataset path/to/pictures
#   docker run -it --rm -v "$PWD:/data" -p 8501:8501 dcgan serve --host 0.0.0.0
FROM python:3.13-slim AS wheel
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY dcgan dcgan
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.13-slim
COPY --from=wheel /wheels /wheels
RUN pip install --no-cache-dir "$(echo /wheels/*.whl)[serve]"
ENV HOME=/data
WORKDIR /data
EXPOSE 8501
ENTRYPOINT ["dcgan"]
