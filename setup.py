from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = "0.1"

setup(
    name="pylon-to-sqlite",
    version=VERSION,
    description="Mirror a Pylon (usepylon.com) workspace into a SQLite file",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    packages=find_packages(include=["pylon_to_sqlite", "pylon_to_sqlite.*"]),
    package_data={
        "pylon_to_sqlite": ["py.typed", "queries/*.sql", "views/*.sql"],
        "pylon_to_sqlite.plugin": ["static/*.css", "templates/*.html"],
        "pylon_to_sqlite.sandbox": ["**/*.json", "**/*.txt"],
    },
    entry_points={
        "console_scripts": ["pylon-to-sqlite=pylon_to_sqlite.__main__:main"],
        "datasette": ["pylon_to_sqlite=pylon_to_sqlite.plugin"],
    },
    python_requires=">=3.10",
    install_requires=[
        "click",
        "datasette",
        "datasette-vega",
        "httpx<1",
        "nh3",
        "sqlite-utils>=4.2,<5",
    ],
    extras_require={
        "test": [
            "cogapp",
            "html5lib",
            "hypothesis",
            "mypy",
            "pytest",
            "pytest-xdist",
            "respx",
            "ruff",
        ],
    },
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "License :: OSI Approved :: Apache Software License",
        "Programming Language :: Python :: 3",
        "Topic :: Database",
    ],
)
