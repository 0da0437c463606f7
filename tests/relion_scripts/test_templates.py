"""Tests of relion_scripts/: run as a user and as RELION's GUI run them, with stand-ins for srun and RELION."""

import os
import pathlib
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "relion_scripts"
BIN = os.environ["CRYORED_TEST_BIN"]
VARIABLE = "RELION_EXTERNAL_RECONSTRUCT_EXECUTABLE"


class Scripts(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = pathlib.Path(self.folder.name)
        self.addCleanup(self.folder.cleanup)

    def program(self, name, text):
        file = self.path / name
        file.write_text("#!/bin/bash\n" + text)
        file.chmod(0o755)

    def run_script(self, script, *words, **variables):
        environment = {"PATH": f"{self.path}:/usr/bin:/bin", "HOME": str(self.path), **variables}
        return subprocess.run(
            [str(script), *words], capture_output=True, text=True, check=False, cwd=self.path, env=environment
        )


class Shellcheck(Scripts):
    def test_finds_nothing(self):
        files = sorted(str(file) for file in SCRIPTS.glob("*.sh"))
        self.assertGreaterEqual(len(files), 2)
        result = subprocess.run(["shellcheck", *files], capture_output=True, text=True, check=False)
        self.assertEqual((result.returncode, result.stdout), (0, ""))


class Workstation(Scripts):
    def workstation(self, *words, **variables):
        return self.run_script(SCRIPTS / "workstation.sh", *words, **{"CRYORED_BIN": BIN, **variables})

    def test_starts_the_gui_with_the_variable(self):
        self.program("relion", f'echo "gui $# ${VARIABLE}"')
        self.assertEqual(self.workstation().stdout, f"gui 0 {BIN}/cryored-reconstruct\n")

    def test_starts_a_command_with_its_words_and_status(self):
        self.program("refine", f'printf "<%s>" "$@"; echo "${VARIABLE}"; exit 7')
        result = self.workstation("refine", "two words", "--external_reconstruct", CRYORED_WORDS="--cleanup --threads 4")
        self.assertEqual(
            result.stdout, f"<two words><--external_reconstruct>{BIN}/cryored-reconstruct --cleanup --threads 4\n"
        )
        self.assertEqual(result.returncode, 7)

    def test_a_wrong_option_stops_before_relion(self):
        self.program("relion", "echo started")
        result = self.workstation(CRYORED_WORDS="--lamda 0.5")
        self.assertEqual((result.returncode, result.stdout), (2, ""))
        self.assertIn("--lambda", result.stderr)

    def test_without_cryored(self):
        result = self.workstation(CRYORED_BIN=str(self.path / "none"))
        self.assertEqual(result.returncode, 2)
        self.assertIn("CRYORED_BIN", result.stderr)


class Slurm(Scripts):
    """RELION replaces its words, and submits what comes out."""

    def script(self, text):
        for word, value in {
            "name": "Refine3D/job012/",
            "outfile": "Refine3D/job012/run.out",
            "errfile": "Refine3D/job012/run.err",
            "queue": "gpu",
            "mpinodes": "3",
            "threads": "4",
            "command": "relion_refine_mpi --o Refine3D/job012/run --external_reconstruct",
        }.items():
            text = text.replace(f"XXX{word}XXX", value)
        self.assertNotRegex(text.split("set -euo")[1], "XXX", "a word that RELION does not know")
        file = self.path / "run_submit.script"
        file.write_text(text)
        file.chmod(0o755)
        return file

    def test_every_rank_gets_the_variable(self):
        self.program("srun", 'echo "srun $1"; shift; exec "$@"')
        self.program("relion_refine_mpi", f'echo "$@ ${VARIABLE}"')
        text = (SCRIPTS / "slurm.sh").read_text().replace("words=()", "words=(--cleanup)")
        result = self.run_script(self.script(text), CRYORED_BIN=BIN)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(
            result.stdout,
            "srun --export=ALL\n--o Refine3D/job012/run --external_reconstruct "
            f"{BIN}/cryored-reconstruct --cleanup\n",
        )

    def test_directives_come_before_the_first_command(self):
        lines = (SCRIPTS / "slurm.sh").read_text().splitlines()
        first = next(i for i, line in enumerate(lines) if line and not line.startswith("#"))
        self.assertTrue(all(not line.startswith("#SBATCH") for line in lines[first:]))
        self.assertEqual(sum(line.startswith("#SBATCH") for line in lines), 7)

    def test_what_is_not_adapted_says_so(self):
        self.program("srun", "echo started")
        result = self.run_script(self.script((SCRIPTS / "slurm.sh").read_text()))
        self.assertEqual((result.returncode, result.stdout), (2, ""))
        self.assertIn("adapt cryored_bin", result.stderr)

    def test_relions_failure_is_the_jobs(self):
        self.program("srun", "exit 9")
        result = self.run_script(self.script((SCRIPTS / "slurm.sh").read_text()), CRYORED_BIN=BIN)
        self.assertEqual(result.returncode, 9)


if __name__ == "__main__":
    unittest.main()
