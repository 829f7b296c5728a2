//! What a declaration asks: the forms' own words, in their order.

/// Words of a form, each with a place in a byte and a name.
pub(super) trait Word: Copy + Ord + Sized + 'static {
    /// In the order of their bits, the lowest first.
    const ALL: &'static [Self];

    fn name(self) -> &'static str;

    fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|word| word.name() == name)
    }
}

/// A symptom of the entry form.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Symptom {
    /// `sot`
    Fever,
    /// `ho`
    Cough,
    /// `kho_tho`
    DifficultyBreathing,
    /// `dau_hong`
    SoreThroat,
    /// Vomiting or nausea, `non_buon_non`
    Vomiting,
    /// `tieu_chay`
    Diarrhoea,
    /// `xuat_huyet_ngoai_da`
    SkinHaemorrhage,
    /// `noi_ban_ngoai_da`
    Rash,
}

impl Symptom {
    /// All of them, as the form has them.
    pub const ALL: [Self; 8] = [
        Self::Fever,
        Self::Cough,
        Self::DifficultyBreathing,
        Self::SoreThroat,
        Self::Vomiting,
        Self::Diarrhoea,
        Self::SkinHaemorrhage,
        Self::Rash,
    ];

    /// Its name on the wire (Bluezone's entry form, `TrieuChungBenh`).
    pub const fn wire_name(self) -> &'static str {
        match self {
            Self::Fever => "sot",
            Self::Cough => "ho",
            Self::DifficultyBreathing => "kho_tho",
            Self::SoreThroat => "dau_hong",
            Self::Vomiting => "non_buon_non",
            Self::Diarrhoea => "tieu_chay",
            Self::SkinHaemorrhage => "xuat_huyet_ngoai_da",
            Self::Rash => "noi_ban_ngoai_da",
        }
    }
}

impl Word for Symptom {
    const ALL: &'static [Self] = &Self::ALL;

    fn name(self) -> &'static str {
        self.wire_name()
    }
}

/// A state of the daily update.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum DailyState {
    /// 1
    Fever,
    /// 2
    Cough,
    /// 3
    DifficultyBreathing,
    /// Pain in the body, or fatigue: 4
    PainOrFatigue,
    /// 5; excludes all others.
    Healthy,
}

impl DailyState {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 5] = [
        Self::Fever,
        Self::Cough,
        Self::DifficultyBreathing,
        Self::PainOrFatigue,
        Self::Healthy,
    ];

    /// Its number on the wire (Bluezone's daily update, `StateID`).
    pub const fn state_id(self) -> u8 {
        match self {
            Self::Fever => 1,
            Self::Cough => 2,
            Self::DifficultyBreathing => 3,
            Self::PainOrFatigue => 4,
            Self::Healthy => 5,
        }
    }

    /// A key to show it by.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fever => "state_fever",
            Self::Cough => "state_cough",
            Self::DifficultyBreathing => "state_difficulty_breathing",
            Self::PainOrFatigue => "state_pain_or_fatigue",
            Self::Healthy => "state_healthy",
        }
    }
}

impl Word for DailyState {
    const ALL: &'static [Self] = &Self::ALL;

    fn name(self) -> &'static str {
        self.name()
    }
}

/// Where somebody may have caught the disease.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Exposure {
    /// Was on a farm, a market of living animals or in a slaughterhouse: the entry form's first.
    AnimalMarket,
    /// Was closer than two metres to somebody with the disease: the entry form's second.
    CloseContact,
    /// Met a confirmed or suspected case (the whole population's form).
    CaseContact,
    /// Met somebody from a country with an outbreak (the same).
    OutbreakContact,
    /// Met somebody with symptoms (the same).
    SymptomaticContact,
}

impl Exposure {
    /// All of them, the entry form's two first.
    pub const ALL: [Self; 5] = [
        Self::AnimalMarket,
        Self::CloseContact,
        Self::CaseContact,
        Self::OutbreakContact,
        Self::SymptomaticContact,
    ];

    /// Those that the entry form asks.
    pub const OF_ENTRY: [Self; 2] = [Self::AnimalMarket, Self::CloseContact];

    /// Its name on the wire (the entry form's page, `phoi_nhiem_1` and `_2` in `LichSuPhoiNhiem`), or ours for
    /// the others.
    pub const fn wire_name(self) -> &'static str {
        match self {
            Self::AnimalMarket => "phoi_nhiem_1",
            Self::CloseContact => "phoi_nhiem_2",
            Self::CaseContact => "case_contact",
            Self::OutbreakContact => "outbreak_contact",
            Self::SymptomaticContact => "symptomatic_contact",
        }
    }
}

impl Word for Exposure {
    const ALL: &'static [Self] = &Self::ALL;

    fn name(self) -> &'static str {
        self.wire_name()
    }
}
