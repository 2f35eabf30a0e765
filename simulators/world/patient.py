"""One simulated patient: the true values, how they change, and the clock of the heart.

A plain `Patient(...)` holds what it is told: each baseline is a piecewise-linear course that `set` bends. A patient
made from a person (`Patient.of`) lives besides: doses given, breathing, waves of pressure and the baroreflex depart
from the baseline (`physiology.py`), and to either kind things can happen (`apnoea`, `vasovagal`, ...).

Values are kept for the whole run, because chips look at slightly different moments (a FIFO fills in arrears). Every
method may be called from any thread; what it starts, starts now, by `clock`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from simulators.world import events, pharmacology
from simulators.world.course import Course
from simulators.world.effects import Signs, signs
from simulators.world.person import Person
from simulators.world.physiology import Physiology

SWITCHES = ("finger_on", "in_chair")


class Patient:
    """True values of one patient, with units in the names. `clock` gives the world's time in seconds."""

    def __init__(
        self,
        *,
        spo2_pct: float = 98.0,
        pulse_bpm: float = 70.0,
        sys_mmhg: float = 120.0,
        dia_mmhg: float = 80.0,
        resp_bpm: float = 14.0,
        perfusion_pct: float = 2.0,
        finger_on: bool = True,
    ) -> None:
        self.clock: Callable[[], float] = lambda: 0.0
        self.person: Person | None = None
        self._lock = threading.Lock()
        self._courses = {
            "spo2_pct": Course(spo2_pct),
            "pulse_bpm": Course(pulse_bpm),
            "sys_mmhg": Course(sys_mmhg),
            "dia_mmhg": Course(dia_mmhg),
            "resp_bpm": Course(resp_bpm),
            "perfusion_pct": Course(perfusion_pct),
            "finger_on": Course(float(finger_on)),
            "in_chair": Course(1.0),
            "motion": Course(0.0),  # of the hand, 0 still .. 1 as much as there is
            "nausea": Course(0.0),
        }
        self._physiology: Physiology | None = None

    @classmethod
    def of(cls, person: Person) -> Patient:
        """A living patient: this person's baseline, rhythms and answer to the drug."""
        patient = cls(
            spo2_pct=person.spo2_pct,
            pulse_bpm=person.pulse_bpm,
            sys_mmhg=person.sys_mmhg,
            dia_mmhg=person.dia_mmhg,
            resp_bpm=person.resp_bpm,
            perfusion_pct=person.perfusion_pct,
        )
        patient.person = person
        patient._physiology = Physiology(patient._courses, person)
        return patient

    # --- what is true

    def at(self, name: str, t: float) -> float:
        """The true value of a quantity at world time t."""
        with self._lock:
            value = self._courses[name].at(t)
            return value if self._physiology is None else value + self._physiology.departure(name, t)

    def finger_on(self, t: float) -> bool:
        return self.at("finger_on", t) > 0.5

    def beats(self, t: float) -> float:
        """Heart cycles since the start; the fraction is the phase, 0 at the onset of a beat."""
        return self._cycles("pulse_bpm", t)

    def breaths(self, t: float) -> float:
        """Breathing cycles since the start."""
        return self._cycles("resp_bpm", t)

    def signs(self, t: float) -> Signs:
        """What staff would see and hear at world time t. Without a person nobody is drugged, but anybody may faint."""
        sys, dia, nausea = self.at("sys_mmhg", t), self.at("dia_mmhg", t), self.at("nausea", t)
        with self._lock:
            level = self._physiology.effect(t) if self._physiology else 0.0
        found = signs(self.person or Person(), level, dia + (sys - dia) / 3.0)
        return found if nausea < 0.5 else Signs(found.moaa_s, found.cadss, found.dizzy, nauseous=True)

    def _cycles(self, name: str, t: float) -> float:
        with self._lock:
            cycles = self._courses[name].integral(t) / 60.0
            return cycles if self._physiology is None else cycles + self._physiology.cycles(name, t)

    # --- what is done

    def set(self, *, over_s: float = 0.0, **values: float) -> None:
        """Change baselines from now on, at once or as a ramp; raises KeyError for an unknown name.

        The baseline is the true value, unless a drug, a rhythm or an event departs from it at the time.
        """
        with self._lock:
            now = self.clock()
            for name, value in values.items():
                self._courses[name].ramp(now, float(value), 0.0 if name in SWITCHES else over_s)
            if self._physiology:
                self._physiology.changed(now)

    def infuse(self, mg_per_kg: float = 0.5, over_s: float = 2400.0) -> None:
        """Start a ketamine infusion."""
        self._give(lambda now, person: pharmacology.infusion(now, person.weight_kg, mg_per_kg, over_s))

    def inject(self, mg: float) -> None:
        """Give ketamine into a muscle."""
        self._give(lambda now, _: pharmacology.injection(now, mg))

    def spray(self, mg: float) -> None:
        """Begin a dose of nasal esketamine: 56 or 84 mg, in devices of 28 five minutes apart. Raises ValueError."""
        self._give(lambda now, _: pharmacology.sprays(now, mg))

    def stop_dose(self) -> None:
        """Give no more: the infusion stops, and sprays that are still to come are left out."""
        with self._lock:
            if self._physiology:
                now = self.clock()
                self._physiology.inflows = pharmacology.stopped(self._physiology.inflows, now)
                self._physiology.changed(now)

    def _give(self, dose: Callable[[float, Person], list[pharmacology.Inflow]]) -> None:
        with self._lock:
            if self._physiology is None or self.person is None:
                raise ValueError("a dose needs a body: make the patient with Patient.of(person)")
            now = self.clock()
            self._physiology.inflows += dose(now, self.person)
            self._physiology.changed(now)

    # --- what happens

    def apnoea(self, lasts_s: float) -> None:
        """Stop breathing; saturation follows some 40 s later, and recovers as late."""
        with self._lock:
            stop = events.Apnoea(self.clock(), lasts_s)
            self._happen([stop.breathing()], stop)

    def vasovagal(self, lasts_s: float = 40.0) -> None:
        """Faint: pulse and pressure fall together within 20 s, and come back."""
        with self._lock:
            self._happen(events.vasovagal(self.clock(), lasts_s))

    def hypertensive(self, sys_mmhg: float = 195.0, dia_mmhg: float = 115.0, lasts_s: float = 600.0) -> None:
        """Rise to this pressure within two minutes."""
        with self._lock:
            self._happen(events.hypertensive(self.clock(), sys_mmhg, dia_mmhg, lasts_s))

    def bradycardia(self, pulse_bpm: float = 30.0, lasts_s: float = 60.0) -> None:
        """Slow the pulse to this rate within 10 s."""
        with self._lock:
            self._happen(events.bradycardia(self.clock(), pulse_bpm, lasts_s))

    def vomit(self) -> None:
        """Half a minute of movement and racing pulse, then a quarter of an hour of nausea."""
        now = self.clock()
        pulse_bpm, sys_mmhg = self.at("pulse_bpm", now), self.at("sys_mmhg", now)
        with self._lock:
            self._happen(events.vomiting(now, pulse_bpm, sys_mmhg))

    def cold_hands(self, perfusion_pct: float = 0.2, lasts_s: float = 1800.0) -> None:
        """Let the finger's vessels close."""
        with self._lock:
            self._happen(events.cold_hands(self.clock(), perfusion_pct, lasts_s))

    def leave_chair(self) -> None:
        """Stand up and walk off; the probe stays behind."""
        self.set(finger_on=0, in_chair=0)

    def return_to_chair(self) -> None:
        """Sit down again, finger in the probe."""
        self.set(finger_on=1, in_chair=1)

    def _happen(self, pulls: list[events.Pull], apnoea: events.Apnoea | None = None) -> None:
        if self._physiology is None:
            self._physiology = Physiology(self._courses, None)
        self._physiology.pulls += pulls
        if apnoea:
            self._physiology.apnoeas.append(apnoea)
        self._physiology.changed(self.clock())
