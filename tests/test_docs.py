"""The code blocks of docs/custom_env.md, run in order as a reader would; only the budgets are smaller."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BUDGETS = {"--steps 40000": "--steps 5000 --energy.train-steps 40", "--episode-steps 300": "--episode-steps 60 --seeds 0:6"}


@pytest.mark.slow
def test_the_own_env_page_runs_as_written(tmp_path):
    page = (ROOT / "docs" / "custom_env.md").read_text()
    blocks = re.findall(r"^```(python|sh)\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert [language for language, _ in blocks] == ["python", "sh", "sh", "sh", "sh"]
    (tmp_path / "harbour.py").write_text(blocks[0][1])
    for _, block in blocks[1:]:
        for ours, small in BUDGETS.items():
            block = block.replace(ours, small)
        arguments = shlex.split(block.replace("harbour.py:", f"{tmp_path}/harbour.py:").replace("runs/", f"{tmp_path}/runs/"))
        assert arguments[:2] == ["python", "-m"]
        done = subprocess.run([sys.executable, *arguments[1:]], cwd=ROOT, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, (block, done.stdout, done.stderr)
        if "scripts.check_env" in block:
            assert "keeps every promise" in done.stdout
    run = tmp_path / "runs" / "harbour"
    assert len((run / "eval" / "results.csv").read_text().splitlines()) == 1 + 3 * 6
    assert (run / "plan" / "plan.png").read_bytes().startswith(b"\x89PNG")


def test_the_lines_that_make_a_goal_env_of_a_plain_one_are_at_most_five():
    page = (ROOT / "docs" / "custom_env.md").read_text()
    code = re.search(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE).group(1)
    own = [line for line in code.splitlines() if line.startswith("from thalweg") or line in code.split("def harbour")[1]]
    assert len([line for line in own if line.strip()]) <= 5
