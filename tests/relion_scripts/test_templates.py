"""Tests of relion_scripts/: run as a user and as RELION's GUI run them, with stand-ins for srun and RELION."""

import configparser
import os
import pathlib
import shlex
import shutil
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
        self.assertGreaterEqual(len(files), 4)
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


class Submission(Scripts):
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


class Slurm(Submission):
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


class SlurmViaFiles(Submission):
    def test_relion_meets_a_daemon_that_watches_its_job_and_ends_with_it(self):
        (self.path / "Refine3D/job012").mkdir(parents=True)
        self.program(
            "srun",
            'echo "srun $1 $2"; group=$1; shift 2; [ $group = --het-group=1 ] && set -- "$@" --device cpu; exec "$@"',
        )
        # RELION here waits until the daemon has started (it watches by then), and looks for its process.
        self.program(
            "relion_refine_mpi",
            f"""
            for i in $(seq 500); do grep -qs daemon.started Refine3D/job012/cryored.log && break; sleep 0.02; done
            grep -o '"folder":"[^"]*"' Refine3D/job012/cryored.log
            grep -o '"pid":[0-9]*' Refine3D/job012/cryored.log | head -n 1 | cut -d: -f2 >pid
            kill -0 "$(cat pid)" && echo "$@ ${VARIABLE}"
            exit 7
            """,
        )
        text = (SCRIPTS / "slurm-via-files.sh").read_text().replace("words=()", "words=(--cleanup)")
        runtime = tempfile.TemporaryDirectory()
        self.addCleanup(runtime.cleanup)
        os.chmod(runtime.name, 0o700)
        result = self.run_script(
            self.script(text), CRYORED_BIN=BIN, CRYORED_RUNTIME_DIR=runtime.name, SLURM_JOB_ID="4711"
        )
        self.assertEqual(result.returncode, 7, result.stderr)
        self.assertIn("srun --het-group=1 --export=ALL\n", result.stdout)
        self.assertIn("srun --het-group=0 --export=ALL\n", result.stdout)
        self.assertIn(f'"folder":"{self.path.resolve()}/Refine3D/job012"\n', result.stdout)
        self.assertIn(
            f"--o Refine3D/job012/run --external_reconstruct {BIN}/cryored-reconstruct --via-files --cleanup\n",
            result.stdout,
        )
        self.assertIn("cryored daemon slurm-4711-", result.stdout)
        pid = (self.path / "pid").read_text().strip()
        self.assertFalse(pathlib.Path("/proc", pid).exists(), "the daemon ends with the job")

    def test_directives_of_both_parts_come_before_the_first_command(self):
        lines = (SCRIPTS / "slurm-via-files.sh").read_text().splitlines()
        first = next(i for i, line in enumerate(lines) if line and not line.startswith("#"))
        self.assertTrue(all(not line.startswith("#SBATCH") for line in lines[first:]))
        self.assertEqual(sum(line == "#SBATCH hetjob" for line in lines), 1)

    def test_what_is_not_adapted_says_so(self):
        self.program("srun", "echo started")
        result = self.run_script(self.script((SCRIPTS / "slurm-via-files.sh").read_text()))
        self.assertEqual((result.returncode, result.stdout), (2, ""))
        self.assertIn("adapt cryored_bin", result.stderr)


class Service(Scripts):
    def unit(self):
        unit = configparser.ConfigParser(interpolation=None)
        unit.optionxform = str
        unit.read(SCRIPTS / "cryored.service")
        return unit

    def test_its_command_serves_until_systemd_ends_it(self):
        (self.path / "projects").mkdir()
        (self.path / "cryored").mkdir()
        (self.path / "cryored/bin").symlink_to(BIN)
        unit = self.unit()
        self.assertEqual(unit["Service"]["Type"], "exec")
        words = shlex.split(unit["Service"]["ExecStart"].replace("%h", str(self.path)))
        (self.path / "run").mkdir(mode=0o700)
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(self.path), "CRYORED_RUNTIME_DIR": str(self.path / "run")}
        # One that a call on this machine has started does not keep it from starting.
        default = [words[0], "daemon", "--background", "--device", "cpu"]
        subprocess.run(default, stdout=subprocess.DEVNULL, check=True, env=environment)
        self.addCleanup(subprocess.run, [words[0], "daemon", "--stop"], stdout=subprocess.DEVNULL, env=environment)
        with subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
        ) as daemon:
            self.assertIn("serves on", daemon.stdout.readline())
            daemon.terminate()
            self.assertEqual(daemon.wait(30), 0)

    @unittest.skipUnless(shutil.which("systemd-analyze"), "no systemd here")
    def test_systemd_understands_it(self):
        text = (SCRIPTS / "cryored.service").read_text().replace("%h/cryored/bin", BIN)
        (self.path / "cryored.service").write_text(text)
        result = subprocess.run(
            ["systemd-analyze", "verify", "--user", str(self.path / "cryored.service")],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "XDG_RUNTIME_DIR": str(self.path)},
        )
        self.assertNotIn("cryored.service", result.stderr)


if __name__ == "__main__":
    unittest.main()
