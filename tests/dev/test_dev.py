"""Tests of ./dev and its scripts: what they count, what they refuse, and the exit status of each."""

import os
import pathlib
import re
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "scripts" / "dev"


def run(*command, **options):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, **options)


class CountTests(unittest.TestCase):
    def count(self, *cases):
        with tempfile.TemporaryDirectory() as folder:
            report = pathlib.Path(folder) / "tests.xml"
            report.write_text("<testsuite>" + "".join(cases) + "</testsuite>", encoding="utf-8")
            return run("python3", SCRIPTS / "count_tests.py", report)

    def closing(self, result):
        return result.stdout.splitlines()[-1]

    def test_counts_each_kind(self):
        result = self.count(
            '<testcase name="a" status="run"/>',
            '<testcase name="b" status="run"/>',
            '<testcase name="c" status="notrun"><skipped message="SKIP_REGULAR_EXPRESSION_MATCHED"/></testcase>',
        )
        self.assertEqual(self.closing(result), "2 passed, 0 failed, 1 skipped")
        self.assertEqual(result.returncode, 0)

    def test_failure_is_failure(self):
        result = self.count('<testcase name="a" status="run"/>', '<testcase name="b"><failure message=""/></testcase>')
        self.assertEqual(self.closing(result), "1 passed, 1 failed, 0 skipped")
        self.assertEqual(result.returncode, 1)

    def test_program_that_was_not_built_is_failure(self):
        result = self.count(
            '<testcase name="a" status="run"/>',
            '<testcase name="b" status="notrun"><skipped message="Unable to find executable"/></testcase>',
        )
        self.assertEqual(self.closing(result), "1 passed, 1 failed, 0 skipped")
        self.assertEqual(result.returncode, 1)

    def test_no_test_is_failure(self):
        result = self.count()
        self.assertEqual(self.closing(result), "0 passed, 0 failed, 0 skipped")
        self.assertEqual(result.returncode, 1)

    def test_missing_report_is_failure(self):
        result = run("python3", SCRIPTS / "count_tests.py", "/nonexistent/tests.xml")
        self.assertEqual(result.returncode, 1)
        self.assertIn("/nonexistent/tests.xml", result.stderr)


class FaultTable(unittest.TestCase):
    def table(self, *cases):
        with tempfile.TemporaryDirectory() as folder:
            report = pathlib.Path(folder) / "tests.xml"
            report.write_text("<testsuite>" + "".join(cases) + "</testsuite>", encoding="utf-8")
            return run("python3", SCRIPTS / "fault_table.py", report)

    def test_full_count_replaces_the_short_one(self):
        line = "<system-out>[ RUN ]\nFAULT|kill of it|{}|0 wrong\n</system-out>"
        result = self.table(
            '<testcase name="Faults.Kill" time="2.0">' + line.format(20) + "</testcase>",
            '<testcase name="FaultsLong.Kill" time="61.4">' + line.format(2000) + "</testcase>",
            '<testcase name="Star.Reads"/>',
        )
        self.assertEqual(result.returncode, 0)
        self.assertEqual(result.stdout.splitlines()[2:], ["| kill of it | 2,000 | 0 wrong | 61 | `FaultsLong.Kill` |"])

    def test_failed_and_silent_tests_are_named(self):
        result = self.table(
            '<testcase name="Faults.A"><failure message=""/><system-out>FAULT|a|1|good</system-out></testcase>',
            '<testcase name="Faults.B"/>',
        )
        self.assertEqual(result.returncode, 1)
        self.assertIn("failed: Faults.A", result.stdout)
        self.assertIn("passed, but said nothing: Faults.B", result.stdout)
        self.assertNotIn("good", result.stdout)

    def test_no_fault_test_is_failure(self):
        self.assertEqual(self.table('<testcase name="Star.Reads"/>').returncode, 1)


class Layers(unittest.TestCase):
    def check(self, path, text):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / path
            file.parent.mkdir(parents=True)
            file.write_text(text, encoding="utf-8")
            return run("python3", SCRIPTS / "check_layers.py", input=path + "\n", cwd=folder)

    def test_downward_include_is_good(self):
        result = self.check("core/reconstruct/a.cpp", '#include "core/base/error.hpp"\n#include <vector>\n')
        self.assertEqual((result.returncode, result.stdout), (0, ""))

    def test_upward_include_is_a_fault(self):
        result = self.check("core/base/a.hpp", '\n#include "core/reconstruct/request.hpp"\n')
        self.assertEqual(result.returncode, 1)
        self.assertIn("core/base/a.hpp:2:", result.stdout)

    def test_thin_plugin_may_not_use_the_models(self):
        self.assertEqual(self.check("plugin/main.cpp", '#include "models/unet.hpp"\n').returncode, 1)

    def test_torch_stays_in_its_layers(self):
        self.assertEqual(self.check("cli/main.cpp", "#include <torch/torch.h>\n").returncode, 1)
        self.assertEqual(self.check("models/unet.cpp", "#include <torch/torch.h>\n").returncode, 0)

    def test_include_not_from_the_root_is_a_fault(self):
        self.assertEqual(self.check("core/base/a.cpp", '#include "error.hpp"\n').returncode, 1)

    def test_unknown_folder_is_a_fault(self):
        self.assertEqual(self.check("elsewhere/a.cpp", "\n").returncode, 1)


class Entry(unittest.TestCase):
    def test_every_command_has_help(self):
        for command in ("setup", "build", "test", "demo", "bench", "lint", "format", "fuzz"):
            result = run(ROOT / "dev", command, "--help")
            self.assertEqual(result.returncode, 0, command)
            self.assertTrue(result.stdout.startswith(f"Usage: ./dev {command}"), command)

    def test_misuse_is_exit_2_and_silent_on_stdout(self):
        for arguments in ([], ["nonsense"], ["build", "--preset"], ["build", "--preset", "odd"], ["test", "--bogus"],
                          ["build", "--jobs", "0"], ["bench", "nothing"], ["lint", "nothing"], ["fuzz", "--seconds", "x"],
                          ["setup", "--gpu", "maybe"]):
            result = run(ROOT / "dev", *arguments)
            self.assertEqual((result.returncode, result.stdout), (2, ""), arguments)
            self.assertNotEqual(result.stderr, "", arguments)


class Setup(unittest.TestCase):
    def tools(self, folder, **scripts):
        """A folder of stand-ins for system programs, put before PATH."""
        for name, body in scripts.items():
            path = pathlib.Path(folder) / name.replace("_", "-")
            path.write_text("#!/bin/sh\n" + body + "\n", encoding="utf-8")
            path.chmod(0o755)
        return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}

    def test_without_root_it_prints_the_packages_and_stops_with_2(self):
        with tempfile.TemporaryDirectory() as folder:
            environment = self.tools(folder, id="echo 1000", dpkg_query='printf "g++ installed\\ncmake installed\\n"',
                                     apt_get="echo must not run; exit 99")
            result = run(ROOT / "dev", "setup", env=environment)
        self.assertEqual(result.returncode, 2)
        self.assertIn("apt-get install -y --no-install-recommends ", result.stderr)
        self.assertIn(" relion", result.stderr)
        self.assertNotIn("g++", result.stderr)
        self.assertNotIn("must not run", result.stdout + result.stderr)

    def test_failed_install_is_reported(self):
        with tempfile.TemporaryDirectory() as folder:
            environment = self.tools(folder, id="echo 0", dpkg_query="true",
                                     apt_get='[ "$1" = update ] && exit 0; echo "E: no such package"; exit 100')
            result = run(ROOT / "dev", "setup", env=environment)
        self.assertEqual(result.returncode, 1)
        self.assertIn("E: no such package", result.stderr)

    def test_a_folder_without_libtorch_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            result = run(ROOT / "dev", "setup", "--no-packages", "--torch", folder)
        self.assertEqual(result.returncode, 1)
        self.assertIn("lib/libtorch_cpu.so", result.stderr)

    def test_package_list_has_one_package_a_line(self):
        packages = run(ROOT / "dev", "setup", "--list").stdout.splitlines()
        self.assertIn("relion", packages)
        self.assertEqual(len(packages), len(set(packages)))
        for package in packages:
            self.assertRegex(package, r"^[a-z0-9][a-z0-9+.-]+$")


class Documents(unittest.TestCase):
    def test_links_lead_to_files_of_the_repository(self):
        files = run("git", "ls-files", "*.md", cwd=ROOT).stdout.split()
        self.assertIn("README.md", files)
        for file in files:
            text = (ROOT / file).read_text(encoding="utf-8")
            for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
                if "://" not in target:
                    self.assertTrue((ROOT / file).parent.joinpath(target).exists(), f"{file}: {target}")

    def test_index_of_docs_is_complete(self):
        index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
        for page in run("git", "ls-files", "docs/*.md", cwd=ROOT).stdout.split():
            name = page.removeprefix("docs/")
            if name != "README.md":
                self.assertIn(f"({name})", index)

    def test_readme_starts_with_the_two_commands(self):
        commands = [line.split()[1] for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
                    if line.startswith("./dev ")]
        self.assertEqual(commands[:2], ["demo", "test"])


if __name__ == "__main__":
    unittest.main()
