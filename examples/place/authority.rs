//! What a place's owner and an authority do.

use std::path::PathBuf;

use clap::Args;
use truyvet::entropy::SystemEntropy;
use truyvet::place::{PlaceCode, PlaceId, PlaceListDraft, PlaceMessage, poster_svg};
use truyvet::time::Timestamp;

use super::support::{Error, count, now, refuse_if_there, say, signing_key, write_new};
use super::{ScannedArgs, ago, minutes};

#[derive(Args)]
pub(super) struct PosterArgs {
    /// The place's name
    #[arg(long)]
    name: String,
    /// The poster's file, SVG; the code's text stands beside it and ends in .txt
    #[arg(long, value_name = "FILE", default_value = "poster.svg")]
    out: PathBuf,
    /// For how many days the code is valid
    #[arg(long, default_value_t = 365)]
    days: u32,
    /// Sign as an authority, with a new random id, and not as the place's owner
    #[arg(long)]
    authority: bool,
    /// The key that signs (PKCS#8 PEM); made if it is not there. Its public half stands beside it and ends
    /// in .pub.pem
    #[arg(long, value_name = "FILE", default_value = "place.key")]
    signing_key: PathBuf,
}

pub(super) fn poster(args: &PosterArgs) -> Result<(), Error> {
    let text = args.out.with_extension("txt");
    refuse_if_there(&args.out)?;
    refuse_if_there(&text)?;
    let (key, _) = signing_key(&args.signing_key)?;
    let from = now();
    let valid = from..from.saturating_add(minutes(24 * 60 * u64::from(args.days)));
    let code = match args.authority {
        true => {
            let id = PlaceId::random(&mut SystemEntropy)?;
            PlaceCode::sign_as_authority(id, &args.name, valid, &key)?
        }
        false => PlaceCode::sign_as_owner(&args.name, valid, &key)?,
    };
    write_new(&args.out, poster_svg(&code)?.as_bytes(), false)?;
    write_new(&text, format!("{code}\n").as_bytes(), false)?;
    say!("{}: to be printed on A4", args.out.display());
    say!(
        "{}: the code's text, for: place check-in @{0}",
        text.display()
    );
    Ok(())
}

#[derive(Args)]
pub(super) struct PublishArgs {
    /// A place's code or, after an @, the file it is in; may be given again
    #[arg(long, required = true, value_name = "TEXT")]
    code: Vec<String>,
    #[command(flatten)]
    scanned: ScannedArgs,
    /// How many minutes ago the case came
    #[arg(long, value_name = "MINUTES", default_value_t = 120)]
    ago: u64,
    /// For how many minutes the case stayed
    #[arg(long, default_value_t = 60)]
    minutes: u64,
    /// What visitors are told: a key, such as place.monitor or place.test, or a text
    #[arg(long, default_value = "place.monitor")]
    message: String,
    /// The list's number, above all before it; the time in seconds if not given
    #[arg(long)]
    sequence: Option<u32>,
    /// The list's file
    #[arg(long, value_name = "FILE", default_value = "places.list")]
    out: PathBuf,
    /// The key that signs (PKCS#8 PEM); made if it is not there. Its public half stands beside it and ends
    /// in .pub.pem
    #[arg(long, value_name = "FILE", default_value = "authority.key")]
    signing_key: PathBuf,
}

pub(super) fn publish_list(args: &PublishArgs) -> Result<(), Error> {
    refuse_if_there(&args.out)?;
    let from = ago(args.ago);
    let published_at = now();
    let message = match args.message.starts_with("place.") {
        true => PlaceMessage::Key(args.message.clone()),
        false => PlaceMessage::Text(args.message.clone()),
    };
    let sequence = match args.sequence {
        Some(sequence) => sequence,
        None => u32::try_from(published_at.unix_seconds())?,
    };
    let mut draft = PlaceListDraft::new(sequence, published_at);
    for code in &args.code {
        let place = args.scanned.place(code)?;
        // In whole seconds, as the list has them, so that "until now" is not in the future.
        let until = from.saturating_add(minutes(args.minutes));
        let until = Timestamp::from_unix_seconds(until.unix_seconds());
        draft.add(place.id(), from..until, &message)?;
    }
    let (key, public) = signing_key(&args.signing_key)?;
    let list = draft.sign(&key, &mut SystemEntropy)?;
    write_new(&args.out, &list, false)?;
    say!(
        "{}: list {sequence}, {} among padding, {} bytes; compare it with: place check {0} --trust {}",
        args.out.display(),
        count(args.code.len(), "place"),
        list.len(),
        public.display(),
    );
    Ok(())
}
