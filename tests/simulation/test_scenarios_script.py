"""Scripts: what a line means, and what is said of one that means nothing."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tace.simulation.scenarios import commands as c
from tace.simulation.scenarios.script import MAX_LINES, ScriptError, parse


class Lines(SynchronousTestCase):
    """Every command, and the settings of the world."""

    def test_commands(self) -> None:
        """Each line becomes the command it names."""
        some = c.Who(count=2)
        for line, command in (
            ("ring 12 apart 0.5", c.Ring(12, 0.5)),
            ("storm 8", c.Storm(8)),
            ("people 6 away 2", c.People(6, 2)),
            ("load 2.5/s", c.Load(2.5)),
            ("write 40", c.Write(40)),
            ("run 60  # a minute", c.Run(60.0)),
            ("kill half wipe", c.Kill(c.Who(share=0.5), power=False, wipe=True)),
            ("kill adjacent 2 power", c.Kill(c.Who(count=2, adjacent=True), True, False)),
            ("kill n03", c.Kill(c.Who(name="n03"), power=False, wipe=False)),
            ("stop 2", c.Stop(some)),
            ("leave 2 within 20", c.Leave(some, 20.0)),
            ("start all", c.Start(c.Who(share=1.0))),
            ("stall 2 for 3", c.Stall(some, 3.0)),
            ("skew 2 by -20", c.Skew(some, -20.0)),
            ("loss 5%", c.Loss(0.05)),
            ("partition 3", c.Partition(3)),
            ("cut n01 n02", c.Cut("n01", "n02")),
            ("heal", c.Heal(30.0)),
            ("heal order 60", c.Heal(60.0)),
            ("reset n00", c.Reset(c.Who(name="n00"))),
            ("return", c.Return()),
            ("disorder 30", c.Disorder(30.0)),
            ("expect ideal within 10", c.ExpectIdeal(10.0)),
            ("expect copies within 60", c.ExpectCopies(60.0)),
            ("expect members 5", c.ExpectMembers(5)),
            ("expect no loss", c.ExpectNoLoss()),
        ):
            script = parse(f"ring 4\npeople 4 away 2\n{line}\n")
            self.assertEqual(script.commands[2:], (command,), line)

    def test_world(self) -> None:
        """Seed and settings, and the results below."""
        script = parse("seed 7\nset ring.replicas 3\n\nring 4\n=> sent 0\n=> nodes 4\n")
        self.assertEqual(script.seed, 7)
        self.assertEqual(script.settings, {"ring.replicas": 3})
        self.assertEqual(script.recorded, ("sent 0", "nodes 4"))
        self.assertEqual(parse("ring 4").seed, 1)

    def test_errors(self) -> None:
        """The line's number, and what is wrong with it."""
        for text, line, why in (
            ("", 1, "nothing happens"),
            ("# nothing\n\n", 2, "nothing happens"),
            ("ring 4\nfrobnicate 3", 2, "'frobnicate' is no command"),
            ("ring", 1, "how many nodes is missing"),
            ("ring x", 1, "a number from 1 to 10000, and not 'x'"),
            ("ring 0", 1, "and not '0'"),
            ("ring 4 5", 1, "'5' is too much"),
            ("ring 4\nrun -1", 2, "how long is a number"),
            ("ring 4\nrun nan", 2, "how long is a number"),
            ("ring 4\nkill somebody", 2, "a name like n03"),
            ("ring 4\nkill", 2, "a node is missing"),
            ("ring 4\npeople 2\nload 3", 3, "like 2/s"),
            ("ring 4\nload 3/s", 2, "nobody yet who could write"),
            ("ring 4\npeople 3\nwrite 3", 3, "nobody is away"),
            ("ring 4\npeople 2 away 3", 2, "3 cannot be away"),
            ("run 3", 1, "no nodes yet"),
            ("ring 4\nloss 60%", 2, "at most 50%"),
            ("ring 4\nset ring.replicas 3", 2, "before all commands"),
            ("set ring.copies 3", 1, "ring.copies"),
            ("ring 4\nexpect peace", 2, "and not 'peace'"),
            ("ring 4\nexpect ideal in 4", 2, "'within' is wanted"),
            ("ring 4\n=> sent 0\nrun 3", 3, "stands at the end"),
            ("ring 4\n" + "run 1\n" * MAX_LINES, MAX_LINES + 1, "at most 1000 lines"),
        ):
            error = self.assertRaises(ScriptError, parse, text)
            self.assertEqual(error.line, line, text[:40])
            self.assertIn(f"line {line}: ", str(error))
            self.assertIn(why, str(error))
