"""What scaler counts."""

from prometheus_client import Counter, Gauge, Histogram

IMAGES = Counter("flightline_scaler_images_total", "Images, by what became of them.", ["mode", "outcome"])
IMAGE_SECONDS = Histogram(
    "flightline_scaler_image_seconds",
    "From the beginning of the work on an image to its end.",
    ["mode"],
    buckets=(0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300),
)
BYTES = Counter("flightline_scaler_bytes_total", "Bytes of images.", ["direction"])
WAITING = Gauge(
    "flightline_scaler_waiting_images", "Images that were found and are not scaled yet.", ["mode"]
)
