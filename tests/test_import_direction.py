"""Imports point one way: app -> pages -> ui -> services -> {calibration, ias_core}; offenders are listed by name."""

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# folder -> modules it may not import (a prefix forbids everything below it)
FORBIDDEN = {
    "calibration": ("torch", "anomalib", "timm", "streamlit", "plotly", "ias_core", "pages", "PIL", "cv2"),
    "ias_core": ("streamlit", "plotly", "calibration", "pages", "pandas"),
    "pages/services": ("streamlit", "plotly", "pages.ui", "anomalib", "diffusers"),
    "pages/ui": ("torch", "anomalib", "timm", "diffusers"),
    "pages": ("torch", "anomalib", "timm", "diffusers"),
}
# only these files may import these modules
ONLY = {
    "anomalib": ("ias_core/patchcore/", "ias_core/discriminators/"),
    "st.session_state": ("pages/ui/state.py",),
    "st.cache_data": ("pages/ui/cached.py",),
    "st.cache_resource": ("pages/ui/cached.py",),
}


def product_files() -> list[Path]:
    folders = ("calibration", "ias_core", "pages")
    return [ROOT / "app.py", ROOT / "cli.py", *(p for f in folders for p in sorted((ROOT / f).rglob("*.py")))]


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def hits(found: set[str], forbidden: str) -> list[str]:
    return [name for name in found if name == forbidden or name.startswith(forbidden + ".")]


def test_imports_point_one_way():
    wrong = []
    for path in product_files():
        place = path.relative_to(ROOT).as_posix()
        folder = next((f for f in sorted(FORBIDDEN, key=len, reverse=True) if place.startswith(f + "/")), None)
        for forbidden in FORBIDDEN.get(folder or "", ()):
            wrong += [f"{place} imports {name}" for name in hits(imports(path), forbidden)]
        wrong += [
            f"{place} imports {name}"
            for name in hits(imports(path), "anomalib")
            if not place.startswith(ONLY["anomalib"])
        ]
    assert not wrong, "\n".join(wrong)


def test_session_state_and_caches_have_one_home():
    wrong = [
        f"{path.relative_to(ROOT).as_posix()} uses {use}"
        for path in product_files()
        for use, homes in ONLY.items()
        if use.startswith("st.")
        and use in path.read_text(encoding="utf-8")
        and not path.relative_to(ROOT).as_posix().startswith(homes)
    ]
    assert not wrong, "\n".join(wrong)


def test_no_cached_function_takes_an_array_as_key():
    """Streamlit hashes a sample of a large array: a scratched part could get the good part's score."""
    tree = ast.parse((ROOT / "pages/ui/cached.py").read_text(encoding="utf-8"))
    cached = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and any("cache_" in ast.unparse(d) for d in node.decorator_list)
    ]
    assert cached
    for function in cached:
        for argument in [*function.args.args, *function.args.kwonlyargs]:
            kind = ast.unparse(argument.annotation)
            plain = kind in ("str", "int", "float", "tuple[str, ...]")
            assert plain or argument.arg.startswith("_"), f"{function.name}({argument.arg}: {kind})"


def test_first_page_imports_neither_torch_nor_anomalib():
    code = (
        "import sys; import pages.services.steps, pages.ui.frame, pages.ui.widgets, ias_core.synthesis; "
        "print([m for m in ('torch', 'anomalib', 'timm', 'sklearn', 'diffusers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
